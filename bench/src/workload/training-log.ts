/** Reads the fixture: metric lines of real training jobs, in sections of one event name each. */
import { readFileSync } from 'node:fs';

/** Numbers by the names under which the logs print them; NaN where a line does not have one. */
export interface LogLine {
  readonly step: number;
  readonly total_steps: number;
  readonly train_loss: number;
  readonly val_loss: number;
  readonly train_time: number;
  readonly step_avg: number;
  readonly trl: number;
  readonly lr: number;
  readonly norm: number;
  readonly allocated: number;
  readonly reserved: number;
}

export interface LogSection {
  /** Event name, such as train.step. */
  readonly name: string;
  /** Where the lines come from. */
  readonly source: string;
  readonly lines: readonly LogLine[];
}

const fixture = new URL('../../fixtures/training-runs.txt', import.meta.url);

export function readTrainingLog(): LogSection[] {
  return parseTrainingLog(readFileSync(fixture, 'utf8'));
}

export function parseTrainingLog(text: string): LogSection[] {
  const sections: { name: string; source: string; lines: LogLine[] }[] = [];
  for (const line of text.split('\n')) {
    const header = /^# ([a-z]+\.[a-z]+) (.+)$/.exec(line);
    if (header !== null) sections.push({ name: header[1]!, source: header[2]!, lines: [] });
    else if (line !== '' && !line.startsWith('#')) sections.at(-1)?.lines.push(parseLine(line));
  }
  return sections;
}

function parseLine(line: string): LogLine {
  const values = new Map<string, number>();
  // "step:200/6200 train_loss:4.66 train_time:41135ms", "s:5000 trl:3.56", "peak memory allocated: 31361 MiB".
  for (const [, key, number] of line.matchAll(/([a-z_]+): ?(-?\d+(?:\.\d+)?)/g)) {
    values.set(key!, Number(number));
  }
  const at = (name: string): number => values.get(name) ?? Number.NaN;
  return {
    step: values.get('step') ?? values.get('s') ?? 0,
    total_steps: Number(/^step:\d+\/(\d+)/.exec(line)?.[1]),
    train_loss: at('train_loss'),
    val_loss: at('val_loss'),
    train_time: at('train_time'),
    step_avg: at('step_avg'),
    trl: at('trl'),
    lr: at('lr'),
    norm: at('norm'),
    allocated: at('allocated'),
    reserved: at('reserved'),
  };
}
