import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderFacts, renderTable } from './table.js';

test('a table aligns its columns and ends no line in blanks', () => {
  const table = renderTable(
    [{ title: 'run' }, { title: 'events', align: 'right' }, { title: 'note' }],
    [
      ['a', '1', ''],
      ['größer', '1000000', 'x'],
    ],
  );
  assert.equal(table, 'run      events  note\na             1\ngrößer  1000000  x\n');
});

test('a table without rows is its titles', () => {
  assert.equal(renderTable([{ title: 'run' }, { title: 'events', align: 'right' }], []), 'run  events\n');
});

test('facts stand in two columns', () => {
  assert.equal(
    renderFacts([
      ['a', '1'],
      ['long', '2'],
    ]),
    '  a     1\n  long  2\n',
  );
});
