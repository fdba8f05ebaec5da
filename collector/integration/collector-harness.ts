/** Starts collectors in processes of their own, and speaks gRPC to them without the SDK. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { FaultPlan } from '@sluice/collector/fault-points.js';
import { decodeResponse, encodeRequest } from '@sluice/collector/testing/wire.js';
import { type LogRequest, type LogResponse__Output, paths } from '@sluice/proto';

export interface CollectorProcess {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<number | null>;
  kill(): Promise<void>;
  /** Resolves to the exit code of a process that ends by itself. */
  readonly exited: Promise<number | null>;
}

/** The processes that a process has started and that are alive. */
export function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
  return children.split(' ').filter(Boolean).map(Number);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.[0] !== 'Z';
  } catch {
    return false;
  }
}

export type PartialConfig = Readonly<Record<string, unknown>>;

function spawnCollector(config: PartialConfig, faults?: FaultPlan): ChildProcess {
  const script = fileURLToPath(new URL('./collector-child.js', import.meta.url));
  const settings = JSON.stringify({ logLevel: process.env['SLUICE_TEST_LOG'] ?? 'fatal', ...config });
  return spawn(
    process.execPath,
    [script, settings, ...(faults === undefined ? [] : [JSON.stringify(faults)])],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) return line;
  throw new Error('the collector ended without a word');
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return once(child, 'exit').then(([code]) => code as number | null);
}

/** A configuration for tests: own folder, free port, small segments. */
export function testConfig(dataDir: string, storeUrl: string, more: PartialConfig = {}): PartialConfig {
  return {
    data: { directory: dataDir },
    grpc: { address: '127.0.0.1:0' },
    store: { url: storeUrl, retryInitialMs: 20, retryMaxMs: 200 },
    wal: { segmentAgeMs: 100, segmentMostAgeMs: 100, segmentEvents: 5000 },
    ...more,
  };
}

/** @param faults where the process kills itself, or which bug is planted in it */
export async function startCollector(config: PartialConfig, faults?: FaultPlan): Promise<CollectorProcess> {
  const child = spawnCollector(config, faults);
  const started = JSON.parse(await firstLine(child)) as { port: number; message?: string };
  if (started.message !== undefined) throw new Error(started.message);
  return {
    port: started.port,
    pid: child.pid as number,
    exited: ended(child),
    async stop() {
      child.kill('SIGTERM');
      return ended(child);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended(child);
    },
  };
}

/** Starts a collector that is expected to refuse; resolves to its error. */
export async function failToStartCollector(
  config: PartialConfig,
): Promise<{ code: string; message: string }> {
  const child = spawnCollector(config);
  const line = await firstLine(child);
  await ended(child);
  return JSON.parse(line);
}

export type CallOutcome =
  | { readonly kind: 'ok'; readonly response: LogResponse__Output }
  | { readonly kind: 'error'; readonly code: number; readonly details: string; readonly metadata: Metadata };

const identity = (bytes: Buffer): Buffer => bytes;

/** A bare client: what it sends is what the test says, valid or not. */
export class RawClient {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.max_send_message_length': -1,
      // Each client has a connection of its own, and so, in turn, a worker of its own.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  log(messages: readonly (LogRequest | Buffer)[]): Promise<CallOutcome> {
    return new Promise((resolve) => {
      const call = this.#client.makeClientStreamRequest(
        paths.log,
        identity,
        identity,
        new Metadata(),
        (error, bytes) => resolve(toOutcome(error, bytes)),
      );
      for (const message of messages) call.write(Buffer.isBuffer(message) ? message : encodeRequest(message));
      call.end();
    });
  }

  logOnce(message: LogRequest | Buffer): Promise<CallOutcome> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        paths.logOnce,
        identity,
        identity,
        Buffer.isBuffer(message) ? message : encodeRequest(message),
        new Metadata(),
        (error, bytes) => resolve(toOutcome(error, bytes)),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

function toOutcome(error: ServiceError | null, bytes: Buffer | undefined): CallOutcome {
  if (error !== null)
    return { kind: 'error', code: error.code, details: error.details, metadata: error.metadata };
  return { kind: 'ok', response: decodeResponse(bytes as Buffer) };
}

/** Polls until `probe` gives the wanted value; fails with the last one after `timeoutMs`. */
export async function until<Value>(
  probe: () => Promise<Value>,
  wanted: (value: Value) => boolean,
  timeoutMs = 120_000,
): Promise<Value> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (wanted(value)) return value;
    if (Date.now() > deadline)
      throw new Error(`not so after ${timeoutMs} ms; the last value is ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
