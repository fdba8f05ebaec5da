/**
 * zstd and lz4 bodies. Node 20 has neither, the engine has both: the compressed body becomes a file,
 * which the engine reads through its own decompression into a pipe. clickhouse-connect compresses its
 * INSERTs with zstd by default.
 *
 * One body at a time: a decompression holds a thread of libuv's pool while its reader, too, needs one.
 */
import type { IncomingMessage } from 'node:http';
import { chunksOf } from './body.js';
import type { Engine } from './engine.js';
import { quoteString } from './prelude.js';
import type { ResultPipes } from './result-pipe.js';
import type { Spool } from './spool.js';

export function createDecoder(parts: {
  engine: Engine;
  spool: Spool;
  pipes: ResultPipes;
  memoryBytes: number;
}) {
  let last: Promise<void> = Promise.resolve();

  return async function* decode(
    message: IncomingMessage,
    encoding: 'zstd' | 'lz4',
  ): AsyncGenerator<Buffer, void, undefined> {
    const file = await parts.spool.create();
    try {
      for await (const chunk of chunksOf(message)) await file.append(chunk);
      await file.close();
      const before = last;
      let done!: () => void;
      last = new Promise((resolve) => {
        done = resolve;
      });
      await before;
      try {
        yield* expand(parts, file.path, encoding);
      } finally {
        done();
      }
    } finally {
      await file.remove();
    }
  };
}

async function* expand(
  parts: { engine: Engine; pipes: ResultPipes; memoryBytes: number },
  path: string,
  encoding: 'zstd' | 'lz4',
): AsyncGenerator<Buffer, void, undefined> {
  const pipe = await parts.pipes.open();
  const connection = parts.engine.connect();
  // RawBLOB is the one format that gives back every byte; it holds the body in memory while it does.
  const outcome = connection.run(
    `SET max_memory_usage=${parts.memoryBytes}; ` +
      `SELECT * FROM file(${quoteString(path)}, RawBLOB, 'raw String', ${quoteString(encoding)}) ` +
      `INTO OUTFILE ${quoteString(pipe.path)} TRUNCATE COMPRESSION 'none' FORMAT RawBLOB`,
    'Null',
  );
  void outcome.then(() => pipe.finish());
  try {
    yield* chunksOf(pipe.reader);
    const ended = await outcome;
    if (!ended.ok) throw ended.exception;
  } finally {
    pipe.discard();
    await outcome;
    pipe.release();
    await connection.close();
  }
}
