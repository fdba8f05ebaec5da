/**
 * One rank of a data-parallel training. Started like torchrun starts one: RANK and WORLD_SIZE in the
 * environment, from which the logger takes them as well. Gradients are averaged over the ranks by the
 * parent, so that all ranks hold the same model.
 */
import { once } from 'node:events';
import { createLogger } from '@sluice/sdk';
import { Adam } from './adam.js';
import { readCorpus, sampleBatch } from './corpus.js';
import { type ToTrainer, tellParent } from './messages.js';
import { CharacterModel } from './model.js';
import { seededRandom } from './random.js';

const steps = Number(process.env['DEMO_STEPS']);
const batchRows = 48;
const context = 6;
const peakRate = 0.006;
const warmUpSteps = 30;
const evalEvery = 50;

// A parent that is gone cannot answer; there is nothing to finish then.
process.once('disconnect', () => process.exit(1));

const log = createLogger();
const rank = Number(process.env['RANK']);
const corpus = readCorpus(process.env['DEMO_TEXT'] ?? '');
const model = new CharacterModel({ vocabulary: corpus.vocabulary, context, embedding: 10, hidden: 48 }, 7);
const adam = new Adam(model.parameters);
const gradient = new Float32Array(model.parameters.length);
const random = seededRandom(1000 + rank);
const test = sampleBatch(corpus.test, { count: 400, context, random: seededRandom(1) });

log.info('training starts', {
  parameters: model.parameters.length,
  batch_rows: batchRows,
  text: process.env['DEMO_TEXT'],
});
for (let step = 1; step <= steps; step++) {
  const started = performance.now();
  const rate = rateAt(step);
  const loss = model.loss(sampleBatch(corpus.train, { count: batchRows, context, random }), gradient);
  const computed = performance.now();
  const mean = await averageOverRanks(step, loss);
  const exchanged = performance.now();
  adam.update(mean, rate);
  log.event(
    'train.step',
    {
      loss,
      grad_norm: norm(mean),
      lr: rate,
      step_time_ms: performance.now() - started,
      exchange_time_ms: exchanged - computed,
    },
    { step },
  );
  if (rank === 0 && (step % evalEvery === 0 || step === 1))
    log.event('val', { val_loss: model.loss(test) }, { step });
}
log.info('training ends');
await log.close({ timeoutMs: 30_000 });
const { logged, acknowledged } = log.stats();
await tellParent({ kind: 'finished', logged, acknowledged });
process.exit(0);

async function averageOverRanks(step: number, loss: number): Promise<Float32Array> {
  const answer = once(process, 'message') as Promise<[ToTrainer]>;
  await tellParent({ kind: 'gradient', step, loss, gradient });
  const [mean] = await answer;
  return mean.gradient;
}

/** A linear warm-up, then half a cosine down to a tenth. */
function rateAt(step: number): number {
  if (step < warmUpSteps) return (peakRate * step) / warmUpSteps;
  const way = (step - warmUpSteps) / Math.max(1, steps - warmUpSteps);
  return peakRate * (0.55 + 0.45 * Math.cos(Math.PI * way));
}

function norm(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
