/** Where a producer in Python starts: an interpreter with the SDK of this clone, made on first use. */
import { fileURLToPath } from 'node:url';

const scripts = new URL('../../../scripts/python.mjs', import.meta.url).href;
const { sdkPython } = (await import(scripts)) as { sdkPython(): string | null };
const entry = fileURLToPath(new URL('../../python/producer.py', import.meta.url));

export function pythonProducer(): { program: string; arguments: readonly string[] } {
  const program = sdkPython();
  if (program === null) throw new Error('there is no Python for the producers; see above');
  return { program, arguments: [entry] };
}
