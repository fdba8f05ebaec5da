/** Starts embedded stores in processes of their own, and takes them and their data away after a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface StoreProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  /** SIGTERM, and the end of the process; resolves to its exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL, as at a power loss of this process. */
  kill(): Promise<void>;
  /** Runs one statement; the body of the answer. Throws with the exception's text. */
  sql(query: string, parameters?: Record<string, string>): Promise<string>;
}

export async function newDataDir(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'sluice-embedded-'));
}

/** Starts a store that is expected to fail; resolves to its error. */
export async function failToStart(dataDir: string, port = 0): Promise<{ code: string; message: string }> {
  const child = spawnStore(dataDir, port, {});
  const line = await firstLine(child);
  await ended(child);
  return JSON.parse(line);
}

export async function startStore(options: {
  dataDir: string;
  port?: number;
  limits?: Record<string, number>;
}): Promise<StoreProcess> {
  const child = spawnStore(options.dataDir, options.port ?? 0, options.limits ?? {});
  const started = JSON.parse(await firstLine(child)) as { url: string; port: number; message?: string };
  if (started.message !== undefined) throw new Error(started.message);
  const { url, port } = started;
  return {
    url,
    port,
    pid: child.pid!,
    dataDir: options.dataDir,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      return await ended(child);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended(child);
    },
    async sql(query, parameters = {}) {
      const response = await fetch(`${url}/?${new URLSearchParams(parameters)}`, {
        method: 'POST',
        body: query,
      });
      const text = await response.text();
      if (response.status !== 200) throw new Error(text);
      return text;
    },
  };
}

export async function removeDataDir(dataDir: string): Promise<void> {
  await rm(dataDir, { recursive: true, force: true });
}

function spawnStore(dataDir: string, port: number, limits: Record<string, number>): ChildProcess {
  const script = fileURLToPath(new URL('embedded-child.js', import.meta.url));
  return spawn(process.execPath, [script, dataDir, String(port), JSON.stringify(limits)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) return line;
  throw new Error(`the store ended without a word (${child.exitCode ?? child.signalCode})`);
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}
