/** The process edge of the command line: arguments in, exit code out. */
import { runProgram } from './cli/program.js';

await runProgram(process.argv);
