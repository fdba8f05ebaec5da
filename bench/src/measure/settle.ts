/**
 * Waits until a store has merged what it wants to merge. An INSERT leaves work behind, and a figure
 * without that work would flatter the store; how much of it there was is part of the result.
 */

/** One look at the store. */
export interface MergeState {
  readonly running: number;
  /** Names of the active parts in one text: it changes with every merge. */
  readonly parts: string;
}

export interface Settling {
  /** False: merges were still going on at the deadline. */
  readonly settled: boolean;
  readonly waitedMs: number;
}

export interface SettleOptions {
  /** How long nothing may change. Merges are chosen a moment after the parts are there. */
  readonly quietMs: number;
  readonly deadlineMs: number;
  readonly intervalMs: number;
}

/** Looking costs the store CPU as well, so it is done seldom, and as often in the run as in the floor. */
export const settleDefaults: SettleOptions = { quietMs: 3000, deadlineMs: 60_000, intervalMs: 500 };

export const mergeStateQuery = `SELECT
    (SELECT count() FROM system.merges) AS running,
    (SELECT arrayStringConcat(arraySort(groupArray(name)), ' ') FROM system.parts
     WHERE active AND database = currentDatabase() AND table = 'events') AS parts
  FORMAT TabSeparated`;

export function parseMergeState(answer: string): MergeState {
  const [running, parts = ''] = answer.replace(/\n$/, '').split('\t');
  return { running: Number(running), parts };
}

export async function settle(
  look: () => Promise<MergeState>,
  time: { nowMs(): number; sleep(ms: number): Promise<void> },
  options: SettleOptions = settleDefaults,
): Promise<Settling> {
  const startMs = time.nowMs();
  let parts: string | undefined;
  let quietSinceMs = startMs;
  for (;;) {
    const state = await look();
    const nowMs = time.nowMs();
    if (state.running > 0 || state.parts !== parts) quietSinceMs = nowMs;
    parts = state.parts;
    const waitedMs = nowMs - startMs;
    if (nowMs - quietSinceMs >= options.quietMs) return { settled: true, waitedMs };
    if (waitedMs >= options.deadlineMs) return { settled: false, waitedMs };
    await time.sleep(options.intervalMs);
  }
}
