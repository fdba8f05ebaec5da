import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Adam } from './adam.js';
import { CharacterModel } from './model.js';

const shape = { vocabulary: 5, context: 3, embedding: 2, hidden: 4 };
const batch = { contexts: Uint16Array.of(0, 1, 2, 4, 4, 3), targets: Uint16Array.of(3, 0) };

test('the gradient is what small changes of each parameter do to the loss', () => {
  const model = new CharacterModel(shape, 1);
  const gradient = new Float32Array(model.parameters.length);
  model.loss(batch, gradient);
  const nudge = 1e-2;
  for (let at = 0; at < gradient.length; at++) {
    const before = model.parameters[at]!;
    model.parameters[at] = before + nudge;
    const above = model.loss(batch);
    model.parameters[at] = before - nudge;
    const below = model.loss(batch);
    model.parameters[at] = before;
    assert.ok(Math.abs((above - below) / (2 * nudge) - gradient[at]!) < 1e-3, `parameter ${at}`);
  }
});

test('training learns a batch by heart', () => {
  const model = new CharacterModel(shape, 1);
  const gradient = new Float32Array(model.parameters.length);
  const adam = new Adam(model.parameters);
  const first = model.loss(batch, gradient);
  for (let step = 0; step < 200; step++) {
    model.loss(batch, gradient);
    adam.update(gradient, 0.05);
  }
  assert.ok(Math.abs(first - Math.log(5)) < 0.2, 'an untrained model knows nothing');
  assert.ok(model.loss(batch) < 0.05);
});
