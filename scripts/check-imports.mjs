// Holds the collector's imports to one way, along the way of an event. Exits 1 and names each import
// that goes another. The table below is the rule; docs/ARCHITECTURE.md draws it.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { root } from './root.mjs';

const source = join(root, 'collector', 'src');

/** Shared by every stage: words, limits, bytes. They import nothing but each other. */
const base = [
  'deltas',
  'errors',
  'event-block',
  'fault-points',
  'limits',
  'losses',
  'protobuf',
  'record',
  'utf8',
  'uuid7',
];

/** What each folder may import besides itself and the base. */
const allowed = {
  receive: ['validate', 'wal'],
  validate: [],
  wal: [],
  encode: [],
  store: [],
  embedded: [],
  ownership: [],
  testing: ['validate', 'wal'],
};

/** Composition roots, where concrete parts meet: one for each thread, and the command line. */
const roots = [
  'collector',
  'commit',
  'commit-damage',
  'commit-refused',
  'commit-rows',
  'commit-thread',
  'commit-worker',
  'config',
  'main',
  'process-log',
  'segment-source',
  'workers',
  'cli',
];

const roomOf = (path) => {
  const [first] = relative(source, path).split('/');
  return first.replace(/(\.test)?\.(js|ts)$/, '');
};

const problems = [];
const files = readdirSync(source, { recursive: true }).filter((name) => name.endsWith('.ts'));
for (const name of files) {
  const path = join(source, name);
  const room = roomOf(path);
  const isTest = name.endsWith('.test.ts');
  for (const [, target] of readFileSync(path, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
    const targetRoom = roomOf(resolve(dirname(path), target));
    if (targetRoom === room || base.includes(targetRoom)) continue;
    if (isTest && targetRoom === 'testing') continue;
    if (roots.includes(room) && (targetRoom !== 'testing' || isTest)) continue;
    if (allowed[room]?.includes(targetRoom)) continue;
    problems.push(
      `collector/src/${name} imports ${target}: ${room} may import ${['the base', ...(allowed[room] ?? [])].join(', ')}`,
    );
  }
}
if (problems.length > 0) {
  console.error(`${problems.join('\n')}\nMove the shared part to the base, or hand it over in collector.ts.`);
  process.exit(1);
}
console.log(`imports: ${files.length} files, all one way`);
