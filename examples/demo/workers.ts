/** The demo's job processes: two ranks that train together, and one that serves. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Counts, FromWorker, ToTrainer } from './messages.js';

export interface Progress {
  step: number;
  loss: number;
  requests: number;
}

export interface JobSettings {
  readonly endpoint: string;
  readonly ranks: number;
  readonly steps: number;
  /** The text that the model learns. */
  readonly text: string;
  /** The recorded requests. */
  readonly requests: string;
}

export const project = 'demo';
export const runs = { train: 'char-lm', serve: 'azure-code-2023' } as const;

export class Workers {
  readonly progress: Progress = { step: 0, loss: Number.NaN, requests: 0 };
  readonly #settings: JobSettings;
  readonly #children = new Set<ChildProcess>();
  #waiting: { rank: ChildProcess; gradient: Float32Array; loss: number }[] = [];

  constructor(settings: JobSettings) {
    this.#settings = settings;
  }

  /** Resolves to what each process logged; rejects as soon as one fails. */
  async run(): Promise<Counts[]> {
    const { ranks, steps, text, requests } = this.#settings;
    const jobs = Array.from({ length: ranks }, (_, rank) =>
      this.#start('train', {
        // As torchrun sets them.
        RANK: String(rank),
        LOCAL_RANK: String(rank),
        WORLD_SIZE: String(ranks),
        DEMO_STEPS: String(steps),
        DEMO_TEXT: text,
      }),
    );
    jobs.push(this.#start('serve', { DEMO_REQUESTS: requests }));
    return Promise.all(jobs);
  }

  /** Ends what still runs. */
  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #start(job: 'train' | 'serve', variables: Readonly<Record<string, string>>): Promise<Counts> {
    const child = fork(fileURLToPath(new URL(`./${job}.js`, import.meta.url)), {
      serialization: 'advanced',
      env: {
        ...process.env,
        SLUICE_ENDPOINT: this.#settings.endpoint,
        SLUICE_PROJECT: project,
        SLUICE_RUN: runs[job],
        SLUICE_JOB: job,
        ...variables,
      },
    });
    this.#children.add(child);
    return new Promise((resolve, reject) => {
      let counts: Counts | undefined;
      child.on('message', (message: FromWorker) => {
        if (message.kind === 'finished') counts = message;
        else if (message.kind === 'progress') this.progress.requests = message.done;
        else this.#average(child, message);
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        this.#children.delete(child);
        if (counts !== undefined) resolve(counts);
        else
          reject(
            new Error(
              `the ${job} process ended with ${signal ?? `exit code ${code}`} before it was finished`,
            ),
          );
      });
    });
  }

  /** Once every rank has sent its gradient of the step, all get the mean. */
  #average(rank: ChildProcess, message: { step: number; loss: number; gradient: Float32Array }): void {
    this.#waiting.push({ rank, ...message });
    const { ranks } = this.#settings;
    if (this.#waiting.length < ranks) return;
    const all = this.#waiting;
    this.#waiting = [];
    const gradient = new Float32Array(message.gradient.length);
    for (const each of all) {
      for (let at = 0; at < gradient.length; at++)
        gradient[at] = (gradient[at] ?? 0) + (each.gradient[at] ?? 0) / ranks;
    }
    this.progress.step = message.step;
    this.progress.loss = all.reduce((sum, { loss }) => sum + loss, 0) / ranks;
    const mean: ToTrainer = { gradient };
    for (const each of all) each.rank.send(mean);
  }
}
