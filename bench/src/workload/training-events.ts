/**
 * Makes the bench's events: five names in turn, each with four metrics and one attribute, from recorded
 * training logs.
 *
 * The fixture is replayed again and again, and no pass repeats the one before: steps and times go on,
 * and measured values move by up to a thousandth, to as many digits as the logs print. Values that
 * repeated every few kilobytes would compress to nothing and make the store look cheap.
 */
import type { LogLine, LogSection } from './training-log.js';

/** A job writes its fields as a literal, so each name has a shape of its own. */
type Fields = Record<string, number | string>;
type FieldMaker = (line: LogLine, source: string, pass: number, wobble: () => number) => Fields;

export interface TrainingEvent {
  readonly name: string;
  readonly fields: Fields;
  readonly step: number;
}

/** Tokens of a step in the recorded llm.c run, and the span of a pass in steps and milliseconds. */
const tokensPerStep = 524_288;
const stepsPerPass = 80;
const msPerPass = 80 * 216;

const makers: Readonly<Record<string, FieldMaker>> = {
  'train.step': (line, source, pass, wobble) => ({
    train_loss: round4(line.train_loss * wobble()),
    train_time_ms: line.train_time + pass * msPerPass,
    step_avg_ms: round2(line.step_avg * wobble()),
    total_steps: line.total_steps,
    source,
  }),
  'train.optimizer': (line, source, pass, wobble) => ({
    trl: round4(line.trl * wobble()),
    lr: line.lr,
    norm: round4(line.norm * wobble()),
    tokens: (line.step + pass * stepsPerPass) * tokensPerStep,
    source,
  }),
  'train.eval': (line, source, pass, wobble) => ({
    val_loss: round4(line.val_loss * wobble()),
    train_time_ms: line.train_time + pass * msPerPass,
    step_avg_ms: round2(line.step_avg * wobble()),
    total_steps: line.total_steps,
    source,
  }),
  'train.speed': (line, source, pass, wobble) => ({
    train_time_ms: line.train_time + pass * msPerPass,
    step_avg_ms: round2(line.step_avg * wobble()),
    steps_left: line.total_steps - line.step,
    total_steps: line.total_steps,
    source,
  }),
  'gpu.memory': (line, source, pass, wobble) => {
    const allocated = Math.round(line.allocated * wobble());
    return {
      peak_memory_allocated_mib: allocated,
      peak_memory_reserved_mib: line.reserved,
      unused_mib: line.reserved - allocated,
      uptime_ms: pass * msPerPass,
      source,
    };
  },
};

export class TrainingEvents {
  readonly #sections: (LogSection & { make: FieldMaker })[];
  #index = 0;
  #random = 1;

  constructor(sections: readonly LogSection[]) {
    this.#sections = sections.map((section) => {
      const make = makers[section.name];
      if (make === undefined) throw new Error(`the fixture's section ${section.name} is made into no event`);
      if (section.lines.length === 0) throw new Error(`the fixture's section ${section.name} is empty`);
      return { ...section, make };
    });
  }

  next(): TrainingEvent {
    const index = this.#index++;
    const step = Math.floor(index / this.#sections.length);
    const { name, source, make, lines } = this.#sections[index % this.#sections.length]!;
    const pass = Math.floor(step / lines.length);
    return { name, fields: make(lines[step % lines.length]!, source, pass, this.#wobble), step };
  }

  /** From 0.999 to 1.001; the same in every run (a linear congruential generator, Numerical Recipes). */
  readonly #wobble = (): number => {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return 0.999 + this.#random * (0.002 / 2 ** 32);
  };
}

function round4(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}

function round2(value: number): number {
  return Math.round(value * 1e2) / 1e2;
}
