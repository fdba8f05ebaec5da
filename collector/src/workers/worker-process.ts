/**
 * A worker's process edge. It is told by its primary what to do, leaves signals to it, and ends at once when the
 * primary is gone (Node's cluster sees to that): everything acknowledged is on the disk.
 */
import { crash } from '../cli/process-life.js';
import { SluiceError } from '../errors.js';
import { armFaults } from '../fault-points.js';
import { innerLimits } from '../limits.js';
import { Claims } from '../ownership/claims.js';
import { decodeLetters, Outbox, reasons } from '../ownership/mail.js';
import { openLog } from '../process-log.js';
import type { FromWorker, ToWorker } from './messages.js';
import { newCounters } from './pipeline.js';
import { Serving } from './serving.js';

const say = (message: FromWorker): void => {
  if (process.connected) process.send?.(message);
};
const outbox = new Outbox((letters) => say({ kind: 'letters', letters }));

class Worker {
  readonly #serving: Serving;
  readonly #claims: Claims;
  #starting: Promise<void> = Promise.resolve();

  constructor({ worker, config, faults }: ToWorker & { kind: 'start' }) {
    armFaults(faults);
    const logger = openLog(config.logLevel).child({ worker });
    const onCrash = (error: unknown): void => crash(logger, error);
    process.on('uncaughtException', onCrash);
    const counters = newCounters();
    this.#serving = new Serving({
      worker,
      config,
      logger,
      faults,
      counters,
      onCrash,
      onForgotten: (key) => this.#claims.forget(key),
      onSettled: () => say({ kind: 'counters', counters }),
    });
    this.#claims = new Claims({
      log: this.#serving.wal,
      primary: {
        claim: (key) => outbox.put('claim', key),
        released: (key, sequence) => outbox.put('released', key, sequence),
        forgotten: (key) => outbox.put('forgotten', key),
      },
      claimMs: innerLimits.workers.claimMs,
    });
  }

  async open(): Promise<void> {
    this.#starting = this.#serving.openLogs();
    await this.#starting;
    const told = this.#tellKnown();
    await Promise.race([told, new Promise((resolve) => setImmediate(resolve))]);
    say({ kind: 'opened' });
  }

  async #tellKnown(): Promise<void> {
    const { own, drained } = await this.#serving.known();
    for (const { key, sequence } of [...own, ...drained]) outbox.put('found', key, sequence);
    outbox.flush();
    say({ kind: 'read' });
  }

  async serve(): Promise<void> {
    const serving = this.#serving.serve(this.#claims);
    this.#starting = serving.then(() => undefined);
    say({ kind: 'serving', port: await serving });
  }

  read(letters: Buffer): void {
    for (const { kind, key, number } of decodeLetters(letters)) {
      if (kind === 'grant') void this.#claims.grant(key, number);
      else if (kind === 'release') void this.#claims.release(key);
      else if (kind === 'refuse') this.#claims.refuse(key, reasons[number] ?? 'moving');
      else if (kind === 'forget_idle') this.#serving.wal.forgetIdle();
    }
  }

  async stop(): Promise<void> {
    await this.#starting.catch(() => undefined);
    this.#claims.stop();
    await this.#serving.stop();
  }
}

let worker: Worker | undefined;

async function obey(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case 'start':
      worker = new Worker(message);
      await worker.open();
      return;
    case 'serve':
      await worker?.serve();
      return;
    case 'letters':
      worker?.read(message.letters);
      return;
    case 'stop':
      await worker?.stop();
      process.exit(0);
  }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
process.on('message', (message: ToWorker) => {
  obey(message).catch((error: unknown) => {
    if (!(error instanceof SluiceError)) throw error;
    // Said before it ends, so that the primary has the reason.
    process.send?.({ kind: 'failed', code: error.code, message: error.message } satisfies FromWorker, () => {
      void worker?.stop().finally(() => process.exit(1));
    });
  });
});
say({ kind: 'listening' });
