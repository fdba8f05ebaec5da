/**
 * Which of ClickHouse's errors mean that the same block will never be taken. Everything else is
 * tried again for as long as it takes: a wrong guess there costs time, a wrong guess here would cost
 * a place in `events`.
 *
 * Source: src/Common/ErrorCodes.cpp of ClickHouse.
 */
const refusedForGood: ReadonlySet<number> = new Set([
  6, // CANNOT_PARSE_TEXT
  25, // CANNOT_PARSE_ESCAPE_SEQUENCE
  26, // CANNOT_PARSE_QUOTED_STRING
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  32, // ATTEMPT_TO_READ_AFTER_EOF
  33, // CANNOT_READ_ALL_DATA
  38, // CANNOT_PARSE_DATE
  41, // CANNOT_PARSE_DATETIME
  53, // TYPE_MISMATCH
  69, // ARGUMENT_OUT_OF_BOUND
  70, // CANNOT_CONVERT_TYPE
  72, // CANNOT_PARSE_NUMBER
  117, // INCORRECT_DATA
  128, // TOO_LARGE_ARRAY_SIZE
  131, // TOO_LARGE_STRING_SIZE
  321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
  349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  395, // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO, such as in a materialized column
  469, // VIOLATED_CONSTRAINT
]);

export function isRefusedForGood(code: number): boolean {
  return refusedForGood.has(code);
}

/**
 * Errors that a sound block gives as well if it is cut on its way. Found by sending a Native block cut at
 * every byte to ClickHouse 26.7: nothing else came, and an empty body inserts nothing. The last three are
 * of a length that was read wrong, which a proxy that mends a body could cause.
 */
const ofCutBodies: ReadonlySet<number> = new Set([
  32, // ATTEMPT_TO_READ_AFTER_EOF
  33, // CANNOT_READ_ALL_DATA
  117, // INCORRECT_DATA
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  128, // TOO_LARGE_ARRAY_SIZE
  131, // TOO_LARGE_STRING_SIZE
]);

export function mayBeCut(code: number): boolean {
  return ofCutBodies.has(code);
}
