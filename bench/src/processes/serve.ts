/** The side of a measured process: answers what the bench asks, and dies with it. */

export type AnyCalls = { readonly [Name: string]: (argument: never) => Promise<unknown> };

export interface Question {
  readonly id: number;
  readonly call: string;
  readonly argument: unknown;
}

export type Answer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly error: string };

/** Serves `calls` until `stop` was answered or the bench is gone. */
export function serve<Calls extends { [Name in keyof Calls]: (argument: never) => Promise<unknown> }>(
  calls: Calls,
): void {
  // Ctrl-C reaches the whole group; the bench decides when its processes end.
  process.on('SIGINT', () => {});
  // Without the bench nobody would end this process; SIGKILL because an engine may be in the middle of something.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.on('message', (question: Question) => {
    void answer(calls, question).then((reply) => {
      process.send?.(reply, () => {
        if (question.call === 'stop') process.exit(0);
      });
    });
  });
}

async function answer<Calls>(calls: Calls, { id, call, argument }: Question): Promise<Answer> {
  try {
    const method = calls[call as keyof Calls] as (argument: unknown) => Promise<unknown>;
    return { id, ok: true, result: await method(argument) };
  } catch (error) {
    return { id, ok: false, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
