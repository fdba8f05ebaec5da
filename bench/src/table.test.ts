import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aligned, columns } from './table.js';

test('figures are aligned, with units behind them', () => {
  assert.equal(
    aligned([
      ['a', '1', 'x'],
      ['long', '100', ''],
    ]),
    'a       1 x\nlong  100',
  );
});

test('cases are lines: the label to the left, figures to the right', () => {
  assert.equal(
    columns(
      ['state', 'p50'],
      [
        ['up', '1'],
        ['hanging', '1000'],
      ],
    ),
    'state     p50\nup          1\nhanging  1000',
  );
});
