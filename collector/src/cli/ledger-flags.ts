/** Flags of the commands that list the ledger and the quarantine. */
import { InvalidArgumentError, Option } from 'commander';

const defaultLimit = 100;
const mostLimit = 1_000_000;

export function limitOption(): Option {
  return new Option('--limit <N>', 'how many rows at most, the newest')
    .argParser(parseLimit)
    .default(defaultLimit);
}

export function rowsOption(): Option {
  return new Option('--json', 'one line of JSON a row, with all its text');
}

function parseLimit(text: string): number {
  const limit = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (limit >= 1 && limit <= mostLimit) return limit;
  throw new InvalidArgumentError(`A limit is a number from 1 to ${mostLimit}.`);
}
