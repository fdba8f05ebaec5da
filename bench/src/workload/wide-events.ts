/**
 * Events over a chosen number of distinct keys: each event still has four metrics and one attribute,
 * and each name has five keys of its own, as in a fleet where every kind of job logs its own things.
 * So `keys / 5` names come in turn, and the number of shapes grows with the number of keys. The values
 * are those of the recorded `train.step` lines, the same for every name.
 */
import { type TrainingEvent, TrainingEvents } from './training-events.js';
import type { LogSection } from './training-log.js';

const keysPerEvent = 5;

export class WideEvents {
  readonly #shapes: readonly {
    name: string;
    loss: string;
    time: string;
    average: string;
    total: string;
    source: string;
  }[];
  readonly #values: TrainingEvents;
  #index = 0;

  constructor(sections: readonly LogSection[], keys: number) {
    if (keys % keysPerEvent !== 0 || keys === 0) {
      throw new Error(`keys is ${keys}; it must be a multiple of ${keysPerEvent}`);
    }
    this.#values = new TrainingEvents(sections.filter(({ name }) => name === 'train.step'));
    this.#shapes = Array.from({ length: keys / keysPerEvent }, (_, index) => ({
      name: `job_${index}.step`,
      loss: `train_loss_${index}`,
      time: `train_time_ms_${index}`,
      average: `step_avg_ms_${index}`,
      total: `total_steps_${index}`,
      source: `source_${index}`,
    }));
  }

  next(): TrainingEvent {
    const index = this.#index++;
    const shape = this.#shapes[index % this.#shapes.length]!;
    const { fields } = this.#values.next();
    return {
      name: shape.name,
      fields: {
        [shape.loss]: fields['train_loss']!,
        [shape.time]: fields['train_time_ms']!,
        [shape.average]: fields['step_avg_ms']!,
        [shape.total]: fields['total_steps']!,
        [shape.source]: fields['source']!,
      },
      step: Math.floor(index / this.#shapes.length),
    };
  }
}
