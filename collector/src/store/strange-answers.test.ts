import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { storeLimits } from '../limits.js';
import { type Batch, BatchInserter } from './batch-inserter.js';
import { ClickHouse } from './clickhouse.js';
import { earlierWork } from './earlier-work.js';

const limits = { ...storeLimits, retryInitialMs: 5, retryMaxMs: 10 };
const quiet = { warn: () => undefined, info: () => undefined };
const batch: Batch = {
  table: 'events',
  format: 'JSONEachRow',
  columns: ['name'],
  batchId: '018bcfe5-6800-7abc-8def-0123456789ab',
  token: 'token',
  receivedDate: '2026-11-24',
  rows: 1,
  body: [Buffer.from('{"name":"a"}\n')],
  inDoubt: false,
  idempotent: false,
};
const page = '<html>back soon</html>';
const fromClickHouse = { 'x-clickhouse-query-id': 'q' };

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly text: string;
}

/** A server that gives these answers in turn, and what it was asked. */
async function scripted(
  answers: Answer[],
): Promise<{ server: Server; inserter: BatchInserter; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams.get('query');
    let body = '';
    for await (const chunk of request) body += String(chunk);
    asked.push(query?.startsWith('INSERT') ? 'insert' : body.startsWith('SELECT') ? 'ask' : body);
    const { status, headers, text } = answers.shift() ?? { status: 500, text: 'the script is over' };
    response.writeHead(status, headers).end(text);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clickhouse = new ClickHouse({ url, database: 'default' }, limits);
  server.on('close', () => void clickhouse.close());
  return {
    server,
    asked,
    inserter: new BatchInserter(clickhouse, limits, quiet, new AbortController().signal),
  };
}

function end(server: Server): void {
  server.closeAllConnections();
  server.close();
}

test("a 200 that is not ClickHouse's does not count as a stored batch, nor as an answer in doubt", async () => {
  const { server, inserter, asked } = await scripted([
    { status: 200, text: page },
    { status: 200, text: page },
    { status: 200, headers: fromClickHouse, text: page },
    { status: 200, headers: fromClickHouse, text: '' },
    { status: 200, headers: fromClickHouse, text: '0\n' },
    { status: 200, headers: fromClickHouse, text: '' },
  ]);
  assert.deepEqual(await inserter.insert(batch), { kind: 'stored', tries: 5, foundCommitted: false });
  assert.deepEqual(asked, ['insert', 'ask', 'ask', 'ask', 'ask', 'insert']);
  end(server);
});

test('what an earlier process did is asked again until the answer can be read', async () => {
  const { server, inserter, asked } = await scripted([
    { status: 200, text: page },
    { status: 200, headers: fromClickHouse, text: page },
    { status: 200, headers: fromClickHouse, text: `["events","${batch.batchId}",0,""]\n` },
  ]);
  const work = await earlierWork(inserter, { id: batch.batchId, receivedDate: batch.receivedDate });
  assert.deepEqual([...(work?.events ?? [])], [batch.batchId]);
  assert.equal(asked.length, 3);
  end(server);
});
