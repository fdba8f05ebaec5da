import { test } from 'node:test';
import { type TestLogger, testLogger } from './test-logger.js';

/** A test that has to pass whichever encoding the logger uses. */
export function testEachEncoding(
  title: string,
  run: (make: (given: Parameters<typeof testLogger>[0]) => TestLogger) => Promise<void>,
): void {
  for (const encoding of ['blocks', 'rows'] as const) {
    test(`${title} (${encoding})`, () =>
      run((given) => testLogger({ ...given, options: { encoding, ...given.options } })));
  }
}
