/** A child's side: answers what the suite asks, tells it what it did not ask for, and dies with it. */

export interface Question {
  readonly id: number;
  readonly call: string;
  readonly argument: unknown;
}

export type FromChild =
  | { readonly kind: 'answer'; readonly id: number; readonly result?: unknown; readonly error?: string }
  | { readonly kind: 'notice'; readonly notice: unknown };

type Method = (argument: never) => Promise<unknown>;

/** Serves `calls` until `end` was answered or the suite is gone. */
export function serve<Calls extends { [Name in keyof Calls]: Method }>(calls: Calls): void {
  // Ctrl-C reaches the whole group; the suite decides when its processes end.
  process.on('SIGINT', () => {});
  // Without the suite nobody would end this process.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.on('message', (question: Question) => {
    void answer(calls, question).then((reply) => {
      process.send?.(reply, () => {
        if (question.call === 'end') process.exit(0);
      });
    });
  });
}

/** Tells the suite something; ordered with everything else that is sent. */
export function notify(notice: unknown): void {
  process.send?.({ kind: 'notice', notice } satisfies FromChild);
}

async function answer<Calls>(calls: Calls, { id, call, argument }: Question): Promise<FromChild> {
  try {
    const method = calls[call as keyof Calls] as (argument: unknown) => Promise<unknown>;
    return { kind: 'answer', id, result: await method(argument) };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { kind: 'answer', id, error: text };
  }
}
