/** What becomes of a batch whose data was handed over, by what the store answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { storeLimits } from '../limits.js';
import { BatchInserter } from './batch-inserter.js';
import { ClickHouse } from './clickhouse.js';

const limits = { ...storeLimits, retryInitialMs: 5, retryMaxMs: 10 };
const quiet = { warn: () => undefined, info: () => undefined };
const ok = { 'x-clickhouse-summary': '{"written_rows":"1"}' };
const answers: [name: string, headers: Record<string, string>, text: string, inserts: string[]][] = [
  ['wrote its rows', ok, '', ['handed']],
  ['wrote no row', { 'x-clickhouse-summary': '{"written_rows":"0"}' }, '', ['handed', 'sent']],
  ['does not say what it wrote', { 'x-clickhouse-query-id': 'q' }, '', ['handed', 'sent']],
  ['is not the store', {}, 'back soon', ['handed', 'sent']],
  // Another user's file, as when the collector runs as root and the store does not.
  ['cannot open the file', { 'x-clickhouse-exception-code': '76' }, 'Code: 76.', ['handed', 'sent']],
  ['has no such file', { 'x-clickhouse-exception-code': '107' }, 'Code: 107.', ['handed', 'sent']],
  ['knows no such parameter', { 'x-clickhouse-exception-code': '115' }, 'Code: 115.', ['handed', 'sent']],
  ['cannot parse what it read', { 'x-clickhouse-exception-code': '117' }, 'Code: 117.', ['handed', 'sent']],
];

for (const [name, headers, text, wanted] of answers) {
  test(`a batch that was handed over to a store that ${name} is stored, and leaves no file`, async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-handed-'));
    writeFileSync(join(directory, 'proof'), 'proof');
    const inserts: string[] = [];
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      const url = new URL(request.url ?? '', 'http://x');
      if (url.pathname === '/sluice/handover') {
        response.end(JSON.stringify({ directory, proofFile: 'proof', proof: 'proof' }));
      } else if (body.startsWith('SELECT')) {
        response.writeHead(200, ok).end('0\n');
      } else {
        const isHanded = url.searchParams.has('sluice_handed_body');
        inserts.push(isHanded ? 'handed' : 'sent');
        if (isHanded)
          response.writeHead(headers['x-clickhouse-exception-code'] ? 500 : 200, headers).end(text);
        else response.writeHead(200, ok).end();
      }
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const clickhouse = new ClickHouse({ url, database: 'default' }, limits);
    context.after(() => {
      server.closeAllConnections();
      server.close();
      rmSync(directory, { recursive: true });
    });
    const inserter = new BatchInserter(clickhouse, limits, quiet, new AbortController().signal);
    const outcome = await inserter.insert({
      table: 'events',
      format: 'JSONEachRow',
      columns: ['name'],
      batchId: '018bcfe5-6800-7abc-8def-0123456789ab',
      token: 'token',
      receivedDate: '2026-11-24',
      rows: 1,
      body: [Buffer.alloc(300_000, ' ')],
      inDoubt: false,
      idempotent: false,
    });
    assert.equal(outcome.kind, 'stored');
    assert.deepEqual(inserts, wanted);
    await clickhouse.close();
    assert.deepEqual(readdirSync(directory), ['proof']);
  });
}
