/**
 * Makes the bench's events: five names in turn, each with four metrics and one attribute, from recorded
 * training logs.
 *
 * The fixture is replayed again and again, and no pass repeats the one before: steps and times go on,
 * and measured values move by up to a thousandth, to as many digits as the logs print. Values that
 * repeated every few kilobytes would compress to nothing and make the store look cheap.
 */
import type { LogLine, LogSection } from './training-log.js';

type Fields = Record<string, number | string>;
/** Puts the next values into the fields of an event, or makes them. A job writes its fields as a literal, so each
 *  name has a shape of its own. */
type FieldMover = (fields: Fields, line: LogLine, pass: number, wobble: () => number) => void;
type FieldMaker = (source: string) => Fields;

export interface TrainingEvent {
  name: string;
  fields: Fields;
  step: number;
}

/** Tokens of a step in the recorded llm.c run, and the span of a pass in steps and milliseconds. */
const tokensPerStep = 524_288;
const stepsPerPass = 80;
const msPerPass = 80 * 216;

const kinds: Readonly<Record<string, { make: FieldMaker; move: FieldMover }>> = {
  'train.step': {
    make: (source) => ({ train_loss: 0.5, train_time_ms: 0, step_avg_ms: 0.5, total_steps: 0, source }),
    move: (fields, line, pass, wobble) => {
      fields['train_loss'] = round4(line.train_loss * wobble());
      fields['train_time_ms'] = line.train_time + pass * msPerPass;
      fields['step_avg_ms'] = round2(line.step_avg * wobble());
      fields['total_steps'] = line.total_steps;
    },
  },
  'train.optimizer': {
    make: (source) => ({ trl: 0.5, lr: 0.5, norm: 0.5, tokens: 0, source }),
    move: (fields, line, pass, wobble) => {
      fields['trl'] = round4(line.trl * wobble());
      fields['lr'] = line.lr;
      fields['norm'] = round4(line.norm * wobble());
      fields['tokens'] = (line.step + pass * stepsPerPass) * tokensPerStep;
    },
  },
  'train.eval': {
    make: (source) => ({ val_loss: 0.5, train_time_ms: 0, step_avg_ms: 0.5, total_steps: 0, source }),
    move: (fields, line, pass, wobble) => {
      fields['val_loss'] = round4(line.val_loss * wobble());
      fields['train_time_ms'] = line.train_time + pass * msPerPass;
      fields['step_avg_ms'] = round2(line.step_avg * wobble());
      fields['total_steps'] = line.total_steps;
    },
  },
  'train.speed': {
    make: (source) => ({ train_time_ms: 0, step_avg_ms: 0.5, steps_left: 0, total_steps: 0, source }),
    move: (fields, line, pass, wobble) => {
      fields['train_time_ms'] = line.train_time + pass * msPerPass;
      fields['step_avg_ms'] = round2(line.step_avg * wobble());
      fields['steps_left'] = line.total_steps - line.step;
      fields['total_steps'] = line.total_steps;
    },
  },
  'gpu.memory': {
    make: (source) => ({
      peak_memory_allocated_mib: 0,
      peak_memory_reserved_mib: 0,
      unused_mib: 0,
      uptime_ms: 0,
      source,
    }),
    move: (fields, line, pass, wobble) => {
      const allocated = Math.round(line.allocated * wobble());
      fields['peak_memory_allocated_mib'] = allocated;
      fields['peak_memory_reserved_mib'] = line.reserved;
      fields['unused_mib'] = line.reserved - allocated;
      fields['uptime_ms'] = pass * msPerPass;
    },
  },
};

interface Section extends LogSection {
  readonly move: FieldMover;
  /** One object a line, filled anew at every pass: what is measured is the log call, not the literal. */
  readonly fields: readonly Fields[];
}

export class TrainingEvents {
  readonly #sections: readonly Section[];
  /** The event that `next` fills. */
  readonly #event: TrainingEvent = { name: '', fields: {}, step: 0 };
  #section = 0;
  #step = 0;
  #random = 1;

  constructor(sections: readonly LogSection[]) {
    this.#sections = sections.map((section) => {
      const kind = kinds[section.name];
      if (kind === undefined) throw new Error(`the fixture's section ${section.name} is made into no event`);
      if (section.lines.length === 0) throw new Error(`the fixture's section ${section.name} is empty`);
      return { ...section, move: kind.move, fields: section.lines.map(() => kind.make(section.source)) };
    });
  }

  /** The next event: it and its fields are filled again later, so nothing of them may be kept. */
  next(): TrainingEvent {
    const event = this.#event;
    const step = this.#step;
    const { name, move, lines, fields } = this.#sections[this.#section]!;
    const line = step % lines.length;
    event.name = name;
    event.fields = fields[line]!;
    event.step = step;
    move(event.fields, lines[line]!, (step - line) / lines.length, this.#wobble);
    if (++this.#section === this.#sections.length) {
      this.#section = 0;
      this.#step++;
    }
    return event;
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
