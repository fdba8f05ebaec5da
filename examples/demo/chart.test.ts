import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawChart } from './chart.js';

const options = { width: 10, height: 4, xLabel: 'step', yLabel: 'loss' };

test('a falling line goes from the top left to the bottom right, between labelled axes', () => {
  const points = [
    { x: 1, y: 4 },
    { x: 100, y: 1 },
  ];
  const lines = drawChart(points, options).trimEnd().split('\n');
  assert.equal(lines.length, 7);
  assert.match(lines[1] ?? '', /^4\.00 ┤[\u2801-\u28ff]/);
  assert.match(lines[4] ?? '', /^1\.00 ┤ +[\u2801-\u28ff]+$/);
  assert.equal(lines[5], '     └──────────');
  assert.equal(lines[6], '      1  step100');
});

test('a flat line, a single point and nothing at all are drawn too', () => {
  assert.match(
    drawChart(
      [
        { x: 1, y: 2 },
        { x: 2, y: 2 },
      ],
      options,
    ),
    /2\.00/,
  );
  assert.match(drawChart([{ x: 1, y: 2 }], options), /2\.00/);
  assert.equal(drawChart([{ x: 1, y: Number.NaN }], options), 'loss: nothing to draw\n');
});
