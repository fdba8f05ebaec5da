import assert from 'node:assert/strict';
import { RefusedCall } from './test-support/collector-model.js';
import { testEachEncoding } from './test-support/each-encoding.js';

const kib = 1024;
const alwaysBroken = { breaksBefore: () => true };

testEachEncoding('no argument makes a log call throw, and each uses up one number', async (testLogger) => {
  const { logger, clock, model } = testLogger({});
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const odd: unknown[] = [
    undefined,
    null,
    5,
    'text',
    Symbol('s'),
    () => 1,
    {},
    [],
    proxy,
    5n,
    new Error('e'),
  ];
  for (const name of odd) {
    for (const fields of odd) {
      for (const options of odd) {
        logger.event(name as string, fields as object, options as object);
        logger.warn(name as string, fields as object, options as object);
      }
    }
  }
  const { logged, dropped } = logger.stats();
  assert.equal(logged, odd.length ** 3 * 2);
  const flushed = logger.flush();
  await clock.advance(1000);
  assert.deepEqual(await flushed, { acknowledged: true, pending: 0 });
  assert.equal(model.events().length, logged - dropped.encoding);
  // Only options that throw when they are read cost the event.
  assert.equal(dropped.encoding, odd.length ** 2 * 2);
});

testEachEncoding('a getter that logs does not spoil the event it is read for', async (testLogger) => {
  const { logger, clock, model } = testLogger({});
  const fields = {
    get value(): number {
      logger.event('inner', { a: 1 });
      return 5;
    },
  };
  logger.event('outer', fields);
  void logger.flush();
  await clock.advance(1000);
  assert.deepEqual(model.events()[0]?.metrics, { value: 5 });
  assert.equal(logger.stats().dropped.encoding, 1);
});

testEachEncoding('a getter that logs to another logger spoils neither event', async (testLogger) => {
  const outer = testLogger({});
  const inner = testLogger({});
  const fields = {
    first: 1,
    get second(): number {
      inner.logger.event('inner', { a: 7, text: 'inner' }, { step: 3 });
      return 5;
    },
    text: 'outer',
  };
  for (let step = 0; step < 2; step++) outer.logger.event('outer', fields, { step });
  for (const { logger, clock } of [outer, inner]) {
    void logger.flush();
    await clock.advance(1000);
  }
  assert.deepEqual(
    outer.model.events().map(({ metrics, attributes }) => ({ metrics, attributes })),
    [0, 1].map(() => ({ metrics: { first: 1, second: 5 }, attributes: { text: 'outer' } })),
  );
  assert.deepEqual(
    inner.model.events().map(({ metrics, attributes }) => ({ metrics, attributes })),
    [0, 1].map(() => ({ metrics: { a: 7 }, attributes: { text: 'inner' } })),
  );
});

testEachEncoding('nor if both events have the same name and other keys', async (testLogger) => {
  const outer = testLogger({});
  const inner = testLogger({});
  outer.logger.info('as ever', { a: 1, b: 2 });
  for (const fields of [{ x: 7, y: 8 }, { z: 7 }, {}]) {
    outer.logger.info('more', {
      a: 1,
      get b(): number {
        inner.logger.info('inner', fields);
        return 2;
      },
      c: 3,
    });
    outer.logger.info('as ever', { a: 1, b: 2 });
  }
  outer.logger.info('step', { a: 1 }, { step: 1 });
  const options = {
    get step(): number {
      inner.logger.info('inner', { b: 1 }, { step: 1 });
      return 1;
    },
  };
  outer.logger.info('step', { b: 5 }, options);
  for (const { logger, clock } of [outer, inner]) {
    void logger.flush();
    await clock.advance(1000);
  }
  const asEver = ['as ever', { a: 1, b: 2 }];
  const more = ['more', { a: 1, b: 2, c: 3 }];
  assert.deepEqual(
    outer.model.events().map(({ body, metrics }) => [body, metrics]),
    [asEver, more, asEver, more, asEver, more, asEver, ['step', { a: 1 }], ['step', { b: 5 }]],
  );
  assert.deepEqual(
    inner.model.events().map(({ metrics }) => metrics ?? {}),
    [{ x: 7, y: 8 }, { z: 7 }, {}, { b: 1 }],
  );
});

testEachEncoding(
  'an event that a full buffer drops leaves nothing behind for another logger',
  async (testLogger) => {
    const full = testLogger({
      options: { bufferBytes: 64 * kib, requestBytes: 8 * kib },
      faults: alwaysBroken,
    });
    const other = testLogger({});
    for (let step = 0; step < 200; step++) {
      full.logger.event('e', { text: 'x'.repeat(1000) }, { step });
      other.logger.event('e', { text: `kept ${step}`, bad: Symbol('s') }, { step });
    }
    assert.ok(full.logger.stats().dropped.buffer_full > 0);
    void other.logger.flush();
    await other.clock.advance(1000);
    assert.deepEqual(
      other.model.events().map(({ attributes }) => attributes?.['text']),
      Array.from({ length: 200 }, (_, step) => `kept ${step}`),
    );
    assert.equal(full.logger.stats().fieldErrors, 0);
    assert.equal(other.logger.stats().fieldErrors, 200);
  },
);

testEachEncoding(
  'an event has a body if its options say so, and a level keeps the one it was given',
  async (testLogger) => {
    const { logger, clock, model } = testLogger({});
    logger.event('line', { loss: 1 }, { body: 'step:1 loss:1' });
    logger.info('mine', {}, { body: 'other' });
    void logger.flush();
    await clock.advance(1000);
    assert.deepEqual(
      model.events().map(({ body }) => body),
      ['step:1 loss:1', 'mine'],
    );
  },
);

testEachEncoding('the levels have OpenTelemetry’s numbers, and the option wins', async (testLogger) => {
  const { logger, clock, model } = testLogger({});
  logger.debug('d');
  logger.info('i');
  logger.warn('w');
  logger.error('e');
  logger.error('f', undefined, { severity: 21 });
  logger.event('g', {}, { severity: 'debug' });
  logger.event('h', {}, { severity: 25 });
  void logger.flush();
  await clock.advance(1000);
  assert.deepEqual(
    model.events().map(({ severity_number }) => severity_number ?? 9),
    [5, 9, 13, 17, 21, 5, 9],
  );
  assert.equal(logger.stats().fieldErrors, 1);
});

testEachEncoding(
  'a full buffer drops the newcomer if nothing lesser can go, and else the newest of the least',
  async (testLogger) => {
    const { logger, clock, model, diagnostics } = testLogger({
      options: { bufferBytes: 64 * kib, requestBytes: 8 * kib },
      faults: { breaksBefore: () => model.messages === 0 && clock.nowMs < 1_700_000_010_000 },
    });
    const log = (id: number, severity: number) =>
      logger.event('e', { id, text: 'x'.repeat(1000) }, { severity });
    for (let id = 0; id < 60; id++) log(id, id % 2 === 0 ? 5 : 9);
    const { buffer_full: before } = logger.stats().dropped;
    log(100, 5);
    assert.equal(logger.stats().dropped.buffer_full, before, 'there is still room for a few');
    for (let id = 101; id < 110; id++) log(id, 5);
    const { bufferedEvents } = logger.stats();
    for (let id = 200; id < 220; id++) log(id, 17);
    assert.equal(logger.stats().bufferedEvents, bufferedEvents, 'one went for each that came');
    void logger.flush({ timeoutMs: 60_000 });
    await clock.advance(60_000);
    const ids = model.events().map(({ metrics }) => metrics?.['id'] ?? -1);
    for (let id = 1; id < 60; id += 2)
      assert.ok(ids.includes(id), `${id} had a higher severity than what was dropped`);
    for (let id = 200; id < 220; id++) assert.ok(ids.includes(id), `${id} came last and was the highest`);
    const debug = ids.filter((id) => id < 60 && id % 2 === 0);
    assert.deepEqual(
      debug,
      Array.from({ length: debug.length }, (_, index) => index * 2),
      'the oldest were kept',
    );
    assert.ok(diagnostics.some((line) => line.startsWith('buffer_full')));
  },
);

testEachEncoding('a hundred thousand drops are a few ranges', async (testLogger) => {
  let isDown = true;
  const { logger, clock, model } = testLogger({
    options: { bufferBytes: 64 * kib },
    faults: { breaksBefore: () => isDown },
  });
  for (let step = 0; step < 100_000; step++) logger.event('e', { step });
  const { dropped } = logger.stats();
  assert.ok(dropped.buffer_full > 95_000);
  isDown = false;
  void logger.flush();
  await clock.advance(60_000);
  assert.equal(model.fates().size, 100_000);
  assert.ok(model.messages < 20, String(model.messages));
});

testEachEncoding(
  'a collector that has less than it acknowledged gets the rest as lost, and the rest goes on',
  async (testLogger) => {
    const { logger, clock, model, diagnostics } = testLogger({});
    for (let step = 0; step < 10; step++) logger.event('e', { step });
    void logger.flush();
    await clock.advance(1000);
    const producer = model.producer(logger.producerId.replaceAll('-', ''));
    assert.equal(producer.durable, 10);
    producer.durable = 4;
    for (let sequence = 5; sequence <= 10; sequence++) producer.fates.delete(sequence);
    logger.event('e', { step: 10 });
    void logger.flush();
    await clock.advance(1000);
    assert.equal(model.fates().size, 11);
    assert.deepEqual(model.fates().get(5), { loss: 'LOSS_REASON_REFUSED' });
    assert.ok('event' in (model.fates().get(11) ?? {}));
    const { acknowledged, dropped } = logger.stats();
    assert.deepEqual([acknowledged, dropped.refused], [5, 6]);
    assert.ok(diagnostics.some((line) => line.startsWith('rewind')));
  },
);

testEachEncoding(
  'that a collector answers again is said once to whoever has read that it does not',
  async (testLogger) => {
    let isDown = true;
    const { logger, clock, diagnostics } = testLogger({ faults: { breaksBefore: () => isDown } });
    for (let step = 0; step < 7; step++) logger.event('e', { step });
    await clock.advance(60_000);
    assert.deepEqual(
      diagnostics.map((line) => line.split(':')[0]),
      ['unreachable'],
    );
    isDown = false;
    await clock.advance(60_000);
    assert.match(
      diagnostics[1] ?? '',
      /^reached: collector at .*: reached again after \d\d s; 7 events waited$/,
    );
    isDown = true;
    logger.event('e');
    await clock.advance(60_000);
    isDown = false;
    await clock.advance(60_000);
    assert.equal(diagnostics.length, 2, 'the second time nobody was told that it does not');
    assert.equal(logger.stats().acknowledged, 8);
  },
);

testEachEncoding(
  'that a collector answers again is said when something has got through',
  async (testLogger) => {
    const { logger, clock, model, diagnostics } = testLogger({});
    let isForgetful = true;
    const openCall = model.openCall.bind(model);
    model.openCall = () => {
      const call = openCall();
      const response = call.response.bind(call);
      call.response = () => (isForgetful ? { ...response(), durable_sequence: '0' } : response());
      return call;
    };
    for (let step = 0; step < 7; step++) logger.event('e', { step });
    await clock.advance(60_000);
    assert.equal(diagnostics.length, 1);
    assert.match(diagnostics[0] ?? '', /^unreachable: .*acknowledged up to 0 of 7/);
    isForgetful = false;
    await clock.advance(60_000);
    assert.match(diagnostics[1] ?? '', /^reached: .*; 7 events waited$/);
    assert.equal(diagnostics.length, 2);
  },
);

testEachEncoding('that somebody logs after close is said once', async (testLogger) => {
  const { logger, clock, diagnostics } = testLogger({});
  logger.event('e');
  const closed = logger.close();
  await clock.advance(1000);
  await closed;
  assert.deepEqual(diagnostics, []);
  logger.event('too.late');
  logger.info('late');
  await logger.close();
  logger.event('late');
  assert.equal(logger.stats().dropped.closed, 3);
  assert.equal(diagnostics.length, 1);
  assert.match(
    diagnostics[0] ?? '',
    /^closed: event "too.late" of run run was logged after close\(\) and is lost.*createLogger\(\)/,
  );
});

testEachEncoding(
  'what a collector has lost again is counted once, though some of it was lost before',
  async (testLogger) => {
    const { logger, clock, model } = testLogger({});
    for (let step = 0; step < 5; step++) logger.event('e', { step });
    for (let step = 0; step < 3; step++) logger.event('e', { text: 'x'.repeat(2 * 1024 * kib) });
    logger.event('e', { step: 5 });
    void logger.flush();
    await clock.advance(1000);
    // As a collector whose disk was restored from a copy of long ago.
    const producer = model.producer(logger.producerId.replaceAll('-', ''));
    for (const next of [10, 11]) {
      producer.durable = 1;
      for (let sequence = 2; sequence < next; sequence++) producer.fates.delete(sequence);
      logger.event('e');
      void logger.flush();
      await clock.advance(1000);
      const { logged, acknowledged, dropped, bufferedEvents } = logger.stats();
      const refused = next - 5;
      assert.deepEqual([acknowledged, dropped.too_large, dropped.refused], [2, 3, refused]);
      assert.equal(logged, acknowledged + 3 + refused + bufferedEvents);
      assert.deepEqual(model.fates().get(6), { loss: 'LOSS_REASON_TOO_LARGE' });
      assert.deepEqual(model.fates().get(9), { loss: 'LOSS_REASON_REFUSED' });
    }
  },
);

testEachEncoding(
  'what was lost in a request that a collector had a part of is counted once when that is lost too',
  async (testLogger) => {
    let isLosing = false;
    const { logger, clock, model } = testLogger({ faults: { losesAnswer: () => isLosing } });
    const goBack = (durable: number): void => {
      const producer = model.producer(logger.producerId.replaceAll('-', ''));
      producer.durable = durable;
      for (const sequence of [...producer.fates.keys()])
        if (sequence > durable) producer.fates.delete(sequence);
    };
    const counts = () => {
      const { acknowledged, dropped } = logger.stats();
      return [acknowledged, dropped.too_large, dropped.refused];
    };
    for (let step = 0; step < 3; step++) logger.event('e', { step });
    void logger.flush();
    await clock.advance(5000);
    isLosing = true;
    logger.event('e', { text: 'x'.repeat(2 * 1024 * kib) });
    for (let step = 0; step < 9; step++) logger.event('e', { step });
    void logger.flush();
    await clock.advance(2);
    isLosing = false;
    goBack(7);
    await clock.advance(5000);
    assert.deepEqual(counts(), [6, 1, 6]);
    goBack(3);
    logger.event('e');
    void logger.flush();
    await clock.advance(5000);
    assert.deepEqual(counts(), [4, 1, 9]);
  },
);

testEachEncoding(
  'a collector that has a part of a request gets what is missing of it as lost',
  async (testLogger) => {
    const { logger, clock, model } = testLogger({ faults: { losesAnswer: () => model.calls === 1 } });
    for (let step = 0; step < 10; step++) logger.event('e', { step });
    void logger.flush();
    await clock.advance(1);
    const producer = model.producer(logger.producerId.replaceAll('-', ''));
    await clock.advance(1);
    producer.durable = 4;
    for (let sequence = 5; sequence <= 10; sequence++) producer.fates.delete(sequence);
    await clock.advance(5000);
    assert.equal(model.fates().size, 10);
    const { acknowledged, dropped, bufferedEvents } = logger.stats();
    assert.deepEqual([acknowledged, dropped.refused, bufferedEvents], [4, 6, 0]);
  },
);

testEachEncoding(
  'a collector that refuses the producer is tried slowly, and costs one request at most',
  async (testLogger) => {
    const { logger, clock, model, diagnostics } = testLogger({ options: { requestBytes: 1 * kib } });
    model.beforeMessage = () => {
      throw new RefusedCall(3, 'not you');
    };
    for (let step = 0; step < 200; step++) logger.event('e', { step });
    await clock.advance(60_000);
    assert.ok(model.calls < 40, `${model.calls} calls in a minute`);
    const { dropped, bufferedEvents } = logger.stats();
    assert.ok(dropped.refused < 60);
    assert.equal(bufferedEvents, 200 - dropped.refused);
    assert.ok(diagnostics.some((line) => line.startsWith('refused')));
    model.beforeMessage = undefined;
    await clock.advance(60_000);
    assert.equal(model.fates().size, 200);
  },
);

testEachEncoding('a collector that wants a password is asked a few times a minute', async (testLogger) => {
  const { logger, clock, model } = testLogger({});
  model.beforeMessage = () => {
    throw new RefusedCall(16, 'who are you');
  };
  logger.event('e');
  await clock.advance(60_000);
  assert.ok(model.calls <= 13, String(model.calls));
});

testEachEncoding(
  'a quiet minute makes no call, and an event a second makes a call a second',
  async (testLogger) => {
    const { logger, clock, model } = testLogger({});
    await clock.advance(60_000);
    assert.equal(model.calls, 0);
    for (let second = 0; second < 60; second++) {
      logger.event('e');
      await clock.advance(1000);
    }
    assert.ok(model.calls <= 60, String(model.calls));
    await clock.advance(5000);
    const { calls } = model;
    await clock.advance(60_000);
    assert.equal(model.calls, calls);
  },
);

testEachEncoding('failures do not cut the buffer into small requests', async (testLogger) => {
  let isDown = true;
  const { logger, clock, model } = testLogger({ faults: { losesAnswer: () => isDown } });
  for (let second = 0; second < 600; second++) {
    logger.event('e', { second });
    await clock.advance(1000);
  }
  isDown = false;
  const before = model.messages;
  void logger.flush();
  await clock.advance(20_000);
  assert.equal(logger.stats().bufferedEvents, 0);
  assert.ok(model.messages - before < 20, `${model.messages - before} requests for 600 events`);
});

testEachEncoding('flush and close never reject and give up at their deadlines', async (testLogger) => {
  const { logger, clock } = testLogger({ faults: alwaysBroken });
  logger.event('e');
  const flushed = logger.flush({ timeoutMs: 100 });
  const closed = logger.close();
  await clock.advance(100);
  assert.deepEqual(await flushed, { acknowledged: false, pending: 1 });
  await clock.advance(5000);
  assert.deepEqual(await closed, { acknowledged: false, pending: 1 });
  assert.equal(logger.stats().dropped.closed, 1);
  assert.equal(clock.timers, 0);
  assert.deepEqual(await logger.flush({ timeoutMs: 'soon' as unknown as number }), {
    acknowledged: false,
    pending: 0,
  });
});

testEachEncoding(
  'patience with a silent call is lost when the process ends, not while it only seems to and goes on logging',
  async (testLogger) => {
    for (const [isLogging, resends] of [
      [true, 0],
      [false, 1],
    ] as const) {
      const { logger, clock } = testLogger({ faults: { hangs: () => true }, isEnding: () => true });
      logger.event('first');
      await clock.advance(1000);
      for (let second = 0; second < 8; second++) {
        if (isLogging) logger.event('step', { second });
        await clock.advance(1000);
      }
      assert.equal(logger.stats().resends, resends, `goes on logging: ${isLogging}`);
      void logger.close({ timeoutMs: 0 });
      await clock.advance(10_000);
    }
  },
);
