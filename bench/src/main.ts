/** The bench's process: asks, shows tables on stderr, ends stdout with one line of JSON a question. */
import { writeFileSync } from 'node:fs';
import { ask, contextOf, showProfiles } from './answer.js';
import { type Command, parseCommand } from './command-line.js';
import { helpText } from './help.js';
import { questionList } from './question-list.js';

/** 1 if a question could not be answered, or its answer is worth nothing. */
async function answerAll({ asked, isAll, jsonFile }: Command, args: readonly string[]): Promise<number> {
  const results: object[] = [];
  let exitCode = 0;
  for (const { question, options } of asked) {
    if (isAll) console.error(`\n${question.name}: ${question.asks}`);
    const { profileDirectory } = options;
    try {
      const answer = await ask(question, options);
      console.error(`\n${answer.table}\n`);
      if (profileDirectory !== undefined) showProfiles(profileDirectory);
      const context = contextOf(answer, { profiled: profileDirectory !== undefined, args });
      results.push({ ...answer.result, ...context });
      console.log(JSON.stringify(results.at(-1)));
      // After each, so that a later one that fails takes nothing with it.
      if (jsonFile !== undefined) {
        writeFileSync(jsonFile, `${JSON.stringify(isAll ? results : results[0])}\n`);
      }
      if (answer.problem === undefined) continue;
      console.error(`bench: ${question.name}: ${answer.problem}`);
    } catch (error) {
      console.error(`bench: ${question.name}: ${(error as Error).message}`);
    }
    exitCode = 1;
  }
  return exitCode;
}

async function main(args: readonly string[]): Promise<number> {
  let command: Command | 'help';
  try {
    command = parseCommand(args, questionList);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${helpText(questionList)}`);
    return 2;
  }
  if (command === 'help') {
    console.log(helpText(questionList));
    return 0;
  }
  return answerAll(command, args);
}

process.exitCode = await main(process.argv.slice(2));
