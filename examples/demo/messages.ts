/** What the demo's processes tell each other over IPC. Events do not travel here: they go through Sluice. */

export interface Counts {
  readonly logged: number;
  readonly acknowledged: number;
}

export type FromWorker =
  /** A rank's gradient of a step, to be averaged over the ranks. */
  | {
      readonly kind: 'gradient';
      readonly step: number;
      readonly loss: number;
      readonly gradient: Float32Array;
    }
  | { readonly kind: 'progress'; readonly done: number }
  /** All is logged and flushed. */
  | ({ readonly kind: 'finished' } & Counts);

/** The mean over the ranks. */
export interface ToTrainer {
  readonly gradient: Float32Array;
}

/** Resolves once the message has left. */
export async function tellParent(message: FromWorker): Promise<void> {
  await new Promise<void>((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(message, () => resolve());
  });
}
