import { Diagnostics } from '../diagnostics.js';
import { encodeProducer } from '../encode/producer.js';
import { SluiceLogger } from '../logger.js';
import { type LoggerOptions, resolveOptions } from '../options.js';
import { LoggerSpool } from '../spool/logger-spool.js';
import { TakeOver } from '../spool/take-over.js';
import { uuid7, uuidText } from '../uuid7.js';
import { CollectorModel } from './collector-model.js';
import { FakeClock } from './fake-clock.js';
import { MemoryDisk } from './memory-disk.js';
import { type Faults, ModelTransport } from './model-transport.js';

export interface SpoolLogger {
  readonly logger: SluiceLogger;
  readonly id: string;
  readonly model: CollectorModel;
  readonly disk: MemoryDisk;
  readonly clock: FakeClock;
  readonly diagnostics: string[];
  /** Lets time pass, and the disk work meanwhile. */
  run(ms: number): Promise<void>;
  /** Whether a promise is settled after at most so long. */
  within<Result>(promise: Promise<Result>, ms: number): Promise<Result>;
}

/** A process of its own, as far as its clock and its disk are concerned: a logger with a spool. */
export function spoolLogger(
  given: {
    options?: LoggerOptions;
    faults?: Faults;
    random?: () => number;
    model?: CollectorModel;
    disk?: MemoryDisk;
    startMs?: number;
    /** Whether it delivers what others left. */
    takesOver?: boolean;
  } = {},
): SpoolLogger {
  const { model = new CollectorModel(), disk = new MemoryDisk(), random = () => 0.5 } = given;
  const clock = new FakeClock();
  if (given.startMs !== undefined) clock.nowMs = given.startMs;
  const diagnostics: string[] = [];
  const settings = resolveOptions(
    { spoolDir: '/spool', ...given.options },
    { variables: {}, host: 'h', newRun: () => 'run' },
  );
  const spoolDir = '/spool';
  const id = uuid7(clock.wallMs());
  const facts = { id, pid: 1, sdkName: 'test', sdkVersion: '0', startMs: clock.wallMs() };
  const producer = encodeProducer({ ...settings, ...facts });
  const files = disk.open();
  const parts = {
    clock,
    files,
    diagnostics: new Diagnostics(clock, ({ kind, message }) => diagnostics.push(`${kind}: ${message}`)),
  };
  let takingOver: TakeOver | undefined;
  if (given.takesOver) {
    takingOver = new TakeOver({
      ...parts,
      directory: spoolDir,
      settings: { ...settings, endpoint: 'model' },
      transport: new ModelTransport(model, clock, given.faults),
      random,
    });
    takingOver.start();
  }
  const spool = new LoggerSpool({
    ...parts,
    settings: { ...settings, spoolDir },
    producerId: id,
    producer,
    ...(takingOver && { takingOver }),
  });
  const logger = new SluiceLogger({
    settings,
    producerId: uuidText(id),
    producer,
    clock,
    transport: new ModelTransport(model, clock, given.faults),
    diagnostics: parts.diagnostics,
    random,
    spool,
  });
  const run = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 100) {
      await settleDisk();
      await clock.advance(Math.min(left, 100));
    }
    await settleDisk();
  };
  const within = async <Result>(promise: Promise<Result>, ms: number): Promise<Result> => {
    let outcome: { result: Result } | undefined;
    void promise.then((result) => {
      outcome = { result };
    });
    for (let left = ms; left >= 0 && outcome === undefined; left -= 100) await run(100);
    if (outcome === undefined) throw new Error(`not settled after ${ms} ms`);
    return outcome.result;
  };
  return { logger, id: Buffer.from(id).toString('hex'), model, disk, clock, diagnostics, run, within };
}

/** Lets operations of the disk in memory end, and what follows from them. */
async function settleDisk(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
}
