import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveEnvironment } from './environment.js';

function resolved(variables: Record<string, string>): object {
  const { warnings, ...environment } = resolveEnvironment(variables);
  assert.deepEqual(warnings, []);
  return environment;
}

test('an empty environment says nothing', () => {
  assert.deepEqual(resolved({}), {});
  assert.deepEqual(resolved({ SLUICE_RUN: '', RANK: ' ' }), {});
});

test('Sluice’s own variables win over a launcher’s', () => {
  assert.deepEqual(
    resolved({
      SLUICE_ENDPOINT: 'collector:4317',
      SLUICE_PROJECT: 'p',
      SLUICE_RUN: 'mine',
      SLUICE_JOB: 'train',
      TORCHELASTIC_RUN_ID: 'theirs',
      SLURM_JOB_ID: '1',
    }),
    { endpoint: 'collector:4317', project: 'p', run: 'mine', job: 'train' },
  );
});

test('torchrun inside of SLURM: ranks are torchrun’s, restarts add up', () => {
  assert.deepEqual(
    resolved({
      RANK: '9',
      LOCAL_RANK: '1',
      WORLD_SIZE: '16',
      TORCHELASTIC_RESTART_COUNT: '2',
      TORCHELASTIC_RUN_ID: 'run-1',
      SLURM_PROCID: '1',
      SLURM_LOCALID: '0',
      SLURM_NTASKS: '2',
      SLURM_RESTART_COUNT: '1',
      SLURM_JOB_ID: '77',
    }),
    { run: 'run-1', rank: 9, localRank: 1, worldSize: 16, attempt: 3 },
  );
});

test('torchrun’s "none" is no run', () => {
  assert.deepEqual(resolved({ TORCHELASTIC_RUN_ID: 'none', SLURM_JOB_ID: '77' }), { run: '77' });
});

test('SLURM alone, and a task of an array', () => {
  assert.deepEqual(
    resolved({
      SLURM_JOB_ID: '1234',
      SLURM_ARRAY_JOB_ID: '1230',
      SLURM_ARRAY_TASK_ID: '4',
      SLURM_PROCID: '3',
      SLURM_LOCALID: '1',
      SLURM_NTASKS: '8',
    }),
    { run: '1230_4', rank: 3, localRank: 1, worldSize: 8 },
  );
});

test('Open MPI inside of a SLURM allocation', () => {
  assert.deepEqual(
    resolved({
      OMPI_COMM_WORLD_RANK: '5',
      OMPI_COMM_WORLD_LOCAL_RANK: '1',
      OMPI_COMM_WORLD_SIZE: '8',
      SLURM_PROCID: '0',
      SLURM_NTASKS: '1',
    }),
    { rank: 5, localRank: 1, worldSize: 8 },
  );
});

test('a value that is no rank is ignored with a warning that names it', () => {
  const { warnings, ...environment } = resolveEnvironment({
    RANK: 'abc',
    SLURM_PROCID: '-1',
    TORCHELASTIC_RESTART_COUNT: '1e3',
    OMPI_COMM_WORLD_RANK: '4294967296',
  });
  assert.deepEqual(environment, {});
  assert.equal(warnings.length, 4);
  assert.match(warnings[0] ?? '', /RANK is "abc"; ignored, it must be a whole number from 0 to 4294967295/);
});

test('a world size that is wrong costs itself and not the rank', () => {
  const { rank, worldSize, warnings } = resolveEnvironment({ RANK: '0', WORLD_SIZE: '0' });
  assert.deepEqual([rank, worldSize, warnings.length], [0, undefined, 1]);
});
