/** How a command says that it failed: what it is for people on stderr, the code for scripts. */
import { SluiceError } from '../errors.js';
import { exitCodeOf, exitCodes } from './exit-codes.js';

/** A command that was carried out and whose answer is no. Its text is printed as it is. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.name = 'CommandFailure';
    this.exitCode = exitCode;
  }
}

/** Prints what went wrong; no stack for what is not a bug. Returns the exit code. */
export function reportFailure(error: unknown): number {
  if (error instanceof CommandFailure) {
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof SluiceError) {
    process.stderr.write(`sluice: ${error.message}\n`);
    return exitCodeOf(error.code);
  }
  process.stderr.write(
    `sluice: a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return exitCodes.crashed;
}
