/** The oracle is only worth what it notices: each fault is planted in rows that it would else accept. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventsColumns } from '@sluice/collector/encode/encode-segment.js';
import { prepareSchema } from '@sluice/collector/store/schema.js';
import { reservePort } from '../rig/ports.js';
import { StoreHost } from '../rig/store-host.js';
import type { ProducerAccount } from './account.js';
import { eventOf, isTooLarge } from './event-formula.js';
import { columnChecks } from './formula-sql.js';
import { type JudgeOptions, judge } from './judge.js';

const logged = 1000;
const lossEvery = 97;
const batches = ['01930000-0000-7000-8000-000000000001', '01930000-0000-7000-8000-000000000002'];
/** The day that is in the batches' ids. */
const receivedDate = '2024-11-06';

let folder: string;
let store: StoreHost;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-oracle-'));
  store = new StoreHost({
    dataDir: folder,
    port: await reservePort(),
    onLost: (problem) => console.error(problem),
  });
  await store.start();
  const outcome = await prepareSchema({ url: store.url, database: 'default' }, eventsColumns, 10_000);
  assert.equal(outcome.kind, 'ready');
});
after(async () => {
  await store.kill();
  await rm(folder, { recursive: true, force: true });
});

function accountOf(index: number, change: Partial<ProducerAccount> = {}): ProducerAccount {
  const losses = Math.floor(logged / lossEvery);
  return {
    producerId: `01930000-0000-7000-9000-00000000000${index}`,
    project: 'oracle',
    run: 'planted',
    job: 'producer',
    host: 'h1',
    attempt: 2,
    rank: index,
    padBytes: index * 3,
    lossEvery,
    isPlain: index === 2,
    acknowledgedThrough: logged,
    final: { logged, acknowledged: logged - losses, dropped: { too_large: losses, buffer_full: 0 } },
    ...change,
  };
}

type Row = Record<string, unknown>;

function eventRow(account: ProducerAccount, sequence: number): Row {
  const { name, fields, options } = eventOf(account, sequence);
  const entries = Object.entries(fields);
  const pick = (isMetric: boolean): Row =>
    Object.fromEntries(
      entries
        .filter(([, value]) => (typeof value === 'number') === isMetric)
        .map(([key, value]) => [key, isMetric ? (Number.isFinite(value) ? value : 'inf') : String(value)]),
    );
  return {
    project: account.project,
    run_id: account.run,
    name,
    rank: account.rank,
    // As text: as a number it would be short of digits.
    time: `${new Date(Math.floor(options.time)).toISOString().slice(0, -1).replace('T', ' ')}${String((options.time % 1) * 1000).padStart(3, '0')}000`,
    step: options.step ?? null,
    severity_number: options.severity,
    body: bytesOf(options.body, 'utf8'),
    metrics: pick(true),
    attributes: pick(false),
    job: account.job,
    host: account.host,
    attempt: account.attempt,
    trace_id: bytesOf(options.traceId, 'hex'),
    span_id: bytesOf(options.spanId, 'hex'),
    producer_id: account.producerId,
    sequence,
    received_date: receivedDate,
    batch_id: batches[sequence % 2],
  };
}

/** Rows are sent as latin1, so that an id's bytes go out as they are; text becomes the bytes of its UTF-8. */
function bytesOf(text: string | undefined, encoding: 'hex' | 'utf8'): string {
  return Buffer.from(text ?? '', encoding).toString('latin1');
}

function lossRow(account: ProducerAccount, first: number, last = first): Row {
  return {
    project: account.project,
    run_id: account.run,
    producer_id: account.producerId,
    rank: account.rank,
    first_sequence: first,
    last_sequence: last,
    origin: 'sdk',
    reason: 'too_large',
    detail: '',
    received_date: receivedDate,
    batch_id: batches[0],
  };
}

interface Tables {
  events: Row[];
  losses: Row[];
  producers: Row[];
}

function soundTables(accounts: readonly ProducerAccount[]): Tables {
  const sequences = Array.from({ length: logged }, (_, index) => index + 1);
  return {
    events: accounts.flatMap((account) =>
      sequences
        .filter((sequence) => !isTooLarge(account, sequence))
        .map((sequence) => eventRow(account, sequence)),
    ),
    losses: accounts.flatMap((account) =>
      sequences
        .filter((sequence) => isTooLarge(account, sequence))
        .map((sequence) => lossRow(account, sequence)),
    ),
    producers: accounts.map(({ producerId, project, run, rank, job, host, attempt }) => ({
      producer_id: producerId,
      project,
      run_id: run,
      rank,
      job,
      host,
      attempt,
      start_time: '2024-11-14 00:00:00',
    })),
  };
}

async function verdictOf(
  spoil: (tables: Tables) => void = () => {},
  accounts: readonly ProducerAccount[] = [accountOf(1), accountOf(2)],
  options: JudgeOptions = {},
) {
  const tables = soundTables([accountOf(1), accountOf(2)]);
  spoil(tables);
  const { client } = store;
  for (const [table, rows] of Object.entries(tables) as [string, Row[]][]) {
    await client.sql(`TRUNCATE TABLE ${table}`);
    if (rows.length === 0) continue;
    const columns = Object.keys(rows[0] as Row);
    await client.sql(
      `INSERT INTO ${table} (${columns.join(', ')}) SETTINGS insert_deduplicate = 0, date_time_input_format = 'best_effort' FORMAT JSONEachRow`,
      Buffer.from(rows.map((row) => JSON.stringify(row)).join('\n'), 'latin1'),
    );
  }
  return judge(client, accounts, options);
}

const at = (rows: Row[], producer: number, sequence: number): Row =>
  rows.find(
    (row) => row['sequence'] === sequence && String(row['producer_id']).endsWith(String(producer)),
  ) as Row;

function remove(rows: Row[], producer: number, sequence: number): void {
  rows.splice(rows.indexOf(at(rows, producer, sequence)), 1);
}

test('rows as they were logged are accepted, every column of them', async () => {
  const verdict = await verdictOf();
  assert.deepEqual(verdict, {
    acknowledged: 2 * logged,
    stored: 2 * (logged - 10),
    lost: 0,
    duplicated: 0,
    altered: 0,
    violations: [],
  });
});

test('an acknowledged event that is not there is lost, and named', async () => {
  const { lost, duplicated, altered, violations } = await verdictOf(({ events }) => remove(events, 1, 500));
  assert.deepEqual([lost, duplicated, altered], [1, 0, 0]);
  assert.ok(
    violations.some((text) => text.includes('missing: 500 to 500 of producer')),
    violations.join('\n'),
  );
  assert.ok(violations.some((text) => text.includes('sequence_gaps is not empty: 500 to 500')));
});

test('a lost tail is lost, although it leaves no hole', async () => {
  const { lost, violations } = await verdictOf(({ events }) => {
    for (let sequence = 990; sequence <= logged; sequence++) remove(events, 2, sequence);
  });
  assert.equal(lost, 11);
  assert.ok(
    violations.some((text) => text.includes('missing: 990 to 1000')),
    violations.join('\n'),
  );
});

test('a producer of which nothing is there has lost everything', async () => {
  const { lost } = await verdictOf((tables) => {
    tables.events = tables.events.filter((row) => row['rank'] !== 1);
    tables.losses = tables.losses.filter((row) => row['rank'] !== 1);
  });
  assert.equal(lost, logged);
});

test('a row that is there twice is a duplicate, and both batches are named', async () => {
  const { lost, duplicated, altered, violations } = await verdictOf(({ events }) => {
    events.push({ ...at(events, 1, 600), batch_id: batches[1] });
  });
  assert.deepEqual([lost, duplicated, altered], [0, 1, 0]);
  assert.ok(
    violations.some(
      (text) => text.includes('doubled: 600 of producer') && batches.every((id) => text.includes(id)),
    ),
    violations.join('\n'),
  );
});

test('a duplicate does not make up for a lost event', async () => {
  const { lost, duplicated } = await verdictOf(({ events }) => {
    remove(events, 1, 500);
    events.push(at(events, 1, 600));
  });
  assert.deepEqual([lost, duplicated], [1, 1]);
});

/** A producer whose drops got their numbers one later than they were made. */
const late = accountOf(3, { countsCalls: true, padBytes: 0 });
function lateTables({ events, losses, producers }: Tables): void {
  for (let call = 1; call <= logged; call++) {
    // The drop of a call 97 has the number 98, and the call 98 the number 97.
    const drops = isTooLarge(late, call);
    const swapped = call % lossEvery === 1 && call > 1;
    if (drops) losses.push(lossRow(late, call + 1));
    else events.push({ ...eventRow(late, call), sequence: swapped ? call - 1 : call });
  }
  const { producerId: producer_id, project, run: run_id, rank, job, host, attempt } = late;
  producers.push({ producer_id, project, run_id, rank, job, host, attempt, batch_id: batches[0] });
}

test('a producer that counts its calls may number its drops later', async () => {
  const verdict = await verdictOf(lateTables, [accountOf(1), accountOf(2), late]);
  const { lost, duplicated, altered, violations } = verdict;
  assert.deepEqual([lost, duplicated, altered, violations], [0, 0, 0, []]);
});

test('a call that is there under two numbers is a violation, and so are calls out of order', async () => {
  const twice = await verdictOf(
    (tables) => {
      lateTables(tables);
      const { events } = tables;
      Object.assign(at(events, 3, 501), { ...eventRow(late, 500), sequence: 501 });
    },
    [accountOf(1), accountOf(2), late],
  );
  assert.ok(
    twice.violations.some((text) =>
      /1 events of producer \S+003 are calls that were there before.* 501 on/.test(text),
    ),
    twice.violations.join('\n'),
  );
});

test('an altered call is noticed', async () => {
  const { altered } = await verdictOf(
    (tables) => {
      lateTables(tables);
      Object.assign(at(tables.events, 3, 500), {
        metrics: { ...(eventRow(late, 500)['metrics'] as Row), call: 499.5 },
      });
    },
    [accountOf(1), accountOf(2), late],
  );
  assert.equal(altered, 1);
});

test('an unacknowledged event may be absent, but not be there twice', async () => {
  const killed = [accountOf(1, { acknowledgedThrough: 900, final: undefined }), accountOf(2)];
  const absent = await verdictOf(({ events, losses }) => {
    for (let sequence = 951; sequence <= logged; sequence++) {
      if (at(events, 1, sequence) !== undefined) remove(events, 1, sequence);
    }
    const loss = losses.findIndex((row) => row['rank'] === 1 && row['first_sequence'] === 970);
    losses.splice(loss, 1);
  }, killed);
  assert.deepEqual([absent.lost, absent.violations], [0, []]);
  const doubled = await verdictOf(({ events }) => events.push(at(events, 1, 950)), killed);
  assert.equal(doubled.duplicated, 1);
});

test('a hole behind the acknowledged numbers is a violation, for nothing may follow it', async () => {
  const { lost, violations } = await verdictOf(
    ({ events }) => remove(events, 1, 950),
    [accountOf(1, { acknowledgedThrough: 900, final: undefined }), accountOf(2)],
  );
  assert.equal(lost, 0);
  assert.ok(
    violations.some((text) => text.includes('1 numbers below 1000 are neither')),
    violations.join('\n'),
  );
});

test('a number that is an event and a loss counts as a duplicate', async () => {
  const { duplicated, violations } = await verdictOf(({ losses }) => losses.push(lossRow(accountOf(1), 500)));
  assert.equal(duplicated, 1);
  assert.ok(violations.some((text) => text.includes('1 numbers are an event and a loss')));
});

test('losses that overlap are a violation', async () => {
  const { violations } = await verdictOf(({ losses }) => losses.push(lossRow(accountOf(1), 97)));
  assert.ok(
    violations.some((text) => text.includes('losses overlap in 1 numbers')),
    violations.join('\n'),
  );
});

test('a loss that the ledger lacks is a lost number, and differs from what the SDK counted', async () => {
  const { lost, violations } = await verdictOf(({ losses }) => losses.pop());
  assert.equal(lost, 1);
  assert.ok(
    violations.some((text) => text.includes('its SDK dropped 10 (too_large), losses has 9')),
    violations.join('\n'),
  );
});

test('a loss under another reason, or by another hand, is a violation', async () => {
  const reason = await verdictOf(({ losses }) => {
    (losses[0] as Row)['reason'] = 'buffer_full';
  });
  assert.ok(reason.violations.some((text) => text.includes('dropped 0 (buffer_full), losses has 1')));
  const origin = await verdictOf(({ losses }) => {
    (losses[0] as Row)['origin'] = 'collector';
  });
  assert.ok(origin.violations.some((text) => text.includes('1 numbers are lost by collector')));
});

test('a loss that names another run, or lies in another partition than its batch, is a violation', async () => {
  for (const change of [{ run_id: 'other' }, { rank: 9 }, { received_date: '2024-11-01' }]) {
    const { violations } = await verdictOf(({ losses }) => Object.assign(losses[0] as Row, change));
    assert.ok(
      violations.some((text) => text.includes('1 rows of losses differ')),
      violations.join('\n'),
    );
  }
});

test('where damage is part of the play, the collector may tell a loss as its own', async () => {
  const { violations } = await verdictOf(
    ({ losses }) => {
      (losses[0] as Row)['origin'] = 'collector';
    },
    undefined,
    { origins: ['sdk', 'collector'] },
  );
  assert.deepEqual(violations, []);
});

test('rows of a producer that never was are a violation', async () => {
  const { violations } = await verdictOf(({ events }) => {
    events.push({ ...at(events, 1, 1), producer_id: '01930000-0000-7000-9000-000000000009' });
  });
  assert.ok(
    violations.some((text) => text.includes('1 events and 0 losses of a producer that never was')),
    violations.join('\n'),
  );
});

test('an event that nobody logged is a violation', async () => {
  const { violations } = await verdictOf(({ events }) => events.push(eventRow(accountOf(1), logged + 1)));
  assert.ok(violations.some((text) => text.includes('number 1001 is there, but only 1000 were logged')));
});

test('a producer without a row of its own is a violation', async () => {
  const { violations } = await verdictOf(({ producers }) => producers.pop());
  assert.ok(violations.some((text) => text.includes('1 producers have events and no right row')));
});

const alterations: Record<string, (row: Row) => Row> = {
  project: () => ({ project: 'other' }),
  run_id: () => ({ run_id: 'other' }),
  rank: () => ({ rank: 9 }),
  job: () => ({ job: '' }),
  host: () => ({ host: 'h2' }),
  attempt: () => ({ attempt: 0 }),
  name: () => ({ name: 'e9' }),
  time: () => ({ time: '2023-11-14 22:13:20.000000001' }),
  step: () => ({ step: null }),
  severity_number: () => ({ severity_number: 21 }),
  body: (row) => ({ body: `${row['body']} ` }),
  metrics: (row) => ({ metrics: { ...(row['metrics'] as Row), half: 1 } }),
  attributes: (row) => ({ attributes: { ...(row['attributes'] as Row), more: 'x' } }),
  trace_id: () => ({ trace_id: 'x' }),
  span_id: () => ({ span_id: '' }),
  batch_id: () => ({ batch_id: `${batches[0]}.x` }),
  received_date: () => ({ received_date: '2024-11-01' }),
  sequence: () => ({ sequence: 97 }),
};

for (const [column, alter] of Object.entries(alterations)) {
  test(`an altered ${column} is noticed, and the column is named`, async () => {
    // 528 is traced, has a body, a step and every other field that only some events have.
    const { altered, violations } = await verdictOf(({ events }) => {
      const row = at(events, 1, 528);
      Object.assign(row, alter(row));
    });
    assert.equal(altered, 1);
    assert.ok(
      violations.some((text) => text === `altered: column ${column} of 1 rows`),
      violations.join('\n'),
    );
  });
}

test('every column of events is altered by one of these tests', async () => {
  assert.deepEqual(Object.keys(alterations).sort(), columnChecks.map(([column]) => column).sort());
  const columns = new Set<string>(eventsColumns.map(([name]) => name));
  for (const column of Object.keys(alterations)) columns.delete(column);
  // Whose it is, is checked by conservation: a row under another id is a stray, or a duplicate.
  assert.deepEqual([...columns], ['producer_id']);
});

test('a batch that lies in two partitions is a violation', async () => {
  const { violations } = await verdictOf(({ events }) => {
    at(events, 1, 528)['received_date'] = '2024-11-01';
  });
  assert.ok(
    violations.some((text) => text.includes('lies in 2 partitions')),
    violations.join('\n'),
  );
});
