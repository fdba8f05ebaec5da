import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random.js';
import { blockKinds } from './block-mutations.js';
import { fuzz } from './fuzz.js';

const seed = 20_260_102;

test('what the door accepts of 100,000 malformed requests means what a second reading says', () => {
  const { inputs, accepted, violations } = fuzz(new Random(seed), 100_000);
  assert.deepEqual(violations.slice(0, 5), [], `seed ${seed}`);
  assert.ok(accepted > inputs / 10, `only ${accepted} were accepted: nothing was compared`);
});

test('the door judges 15,000 mutated requests of blocks as a second reading of the contract does', () => {
  const { judged, taken, withRejections, violations } = fuzz(new Random(seed + 1), 15_000, blockKinds);
  assert.deepEqual(violations.slice(0, 5), [], `seed ${seed + 1}`);
  assert.ok(judged > 12_000, `only ${judged} were compared`);
  assert.ok(taken > judged / 5 && taken < (judged * 4) / 5, `${taken} were taken`);
  assert.ok(withRejections > 500, `${withRejections} have rejected events`);
});
