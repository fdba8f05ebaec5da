/** What the collector said about one call. Exactly one per call, never from within a method of it. */
export type CallOutcome =
  | { readonly kind: 'acknowledged'; readonly response: Acknowledgment }
  | { readonly kind: 'failed'; readonly failure: CallFailure };

export interface Acknowledgment {
  /** Everything up to this number is on the collector's disk. */
  readonly durableSequence: number;
  readonly duplicates: number;
  /** Events that broke a limit and were not stored; the collector lists at most 1,000 of a call. */
  readonly rejected: number;
  /** The first of them, in words. */
  readonly rejection?: string;
  /** How old the oldest event of the next call may get before it asks for its acknowledgment; 0: the collector does
   *  not say. */
  readonly callAgeMs?: number;
}

export interface CallFailure {
  /** gRPC's status code. */
  readonly code: number;
  /** For people; never looked at by the program. */
  readonly message: string;
  /** The sequence to go on from, if the collector named one. */
  readonly expectedSequence?: number;
  /** When to try again, if the collector said so. */
  readonly retryDelayMs?: number;
}

/** One client-streaming call. */
export interface Call {
  /** `written` runs once the bytes have left for the socket. */
  write(message: Buffer, written: () => void): void;
  /** No more messages; the collector answers. */
  halfClose(): void;
  /** Gives the call up; its outcome is not reported any more. */
  cancel(): void;
}

export interface Transport {
  open(ended: (outcome: CallOutcome) => void): Call;
  /** Drops the connection; the next call makes a new one. */
  disconnect(): void;
}
