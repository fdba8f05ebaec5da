/**
 * INSERTs. Data comes from the spool file the body went to: the engine's reader takes any format from
 * a file, binary ones included, and cuts no block in two.
 *
 * 1. The statement's own head is kept as it is, with the file put where ClickHouse's grammar has it.
 * 2. An INSERT that has begun runs to its end, whether or not its client still waits.
 */
import { Exception, exceptionCodes } from './exceptions.js';
import type { Execution } from './execution.js';
import type { BodyFile } from './handed-body.js';
import { quoteString } from './prelude.js';
import { sendException, sendReply } from './response.js';
import type { Statement } from './statement.js';

type InsertStatement = Extract<Statement, { kind: 'insert' }>;

export async function runInsert(
  execution: Execution,
  statement: InsertStatement,
  data: BodyFile,
): Promise<void> {
  const { received, connection, response, identity } = execution;
  const { text } = received;
  const before = text.toString('utf8', 0, statement.settingsAt);
  const settings = text.toString('utf8', statement.settingsAt, statement.headEnd);
  const outcome = await connection.write(
    `${execution.prelude}${before} FROM INFILE ${quoteString(data.path)} COMPRESSION 'none' ${settings} FORMAT ${statement.format}`,
  );
  if (outcome.ok) {
    sendReply(response, identity, { body: outcome.bytes, format: undefined, outcome });
    return;
  }
  const { exceptionCode, message } = outcome.exception;
  if (exceptionCode === exceptionCodes.SYNTAX_ERROR) {
    // The message quotes the file's clause, which the client did not write. The head alone inserts
    // nothing and fails in the client's own words.
    const alone = await connection.write(
      `${execution.prelude}${before}${settings} FORMAT ${statement.format}`,
    );
    if (!alone.ok && alone.exception.exceptionCode === exceptionCodes.SYNTAX_ERROR) {
      sendException(response, identity, alone.exception);
      return;
    }
  }
  // Where the store keeps a body is nothing to the client.
  const told = message.replaceAll(`: (in file/uri ${data.path})`, '');
  sendException(response, identity, new Exception(exceptionCode, told));
}

export async function runInsertSelect(
  execution: Execution,
  statement: Extract<Statement, { kind: 'insert-select' }>,
): Promise<void> {
  const { received, connection, response, identity } = execution;
  const outcome = await connection.write(
    execution.prelude + received.text.toString('utf8', 0, statement.end),
  );
  if (outcome.ok) sendReply(response, identity, { body: outcome.bytes, format: undefined, outcome });
  else sendException(response, identity, outcome.exception);
}
