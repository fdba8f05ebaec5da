/**
 * Lets calls and messages in. A call above a limit is refused with the limit's name and a delay. While
 * more than `pendingBytes` wait for the log, the next message of a call is held back: grpc-js asks for
 * another one only after a message was delivered, so holding one stops the stream, and HTTP/2 flow
 * control stops the client. The first message of a call is held back in the same way while it is decided
 * whether this process may append its producer's requests; it counts as received meanwhile.
 */
import {
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';
import type { ReceiveLimits } from '../limits.js';
import type { GuardedCall } from './guarded-call.js';
import type { Refusal } from './intake.js';
import { claimRefusal, type Ownership, ownsAll, peekProducerKey } from './ownership.js';
import { toStatus } from './status.js';

export interface PendingLog {
  readonly pendingBytes: number;
  roomBelow(bytes: number): Promise<void>;
}

export type CallAdmission =
  | { readonly kind: 'guarded'; readonly guarded: GuardedCall }
  /** grpc-js is not what it was: the call runs without a guard. */
  | { readonly kind: 'unguarded' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export function admissionInterceptor(
  options: { readonly log: PendingLog; readonly limits: ReceiveLimits; readonly ownership: Ownership },
  admit: (call: Parameters<ServerInterceptor>[1], isUnary: boolean) => CallAdmission,
): ServerInterceptor {
  const { log, limits, ownership } = options;
  const { pendingBytes } = limits;
  /** Nothing if the call may go on at once. */
  const decide = (first: Buffer): Promise<Refusal | undefined> | undefined => {
    const key = peekProducerKey(first);
    // One that names none is the intake's to refuse.
    if (key === '' || ownership.owns(key)) return undefined;
    return ownership
      .claim(key)
      .then((outcome) =>
        outcome.kind === 'granted' ? undefined : claimRefusal(outcome, limits.retryDelayMs),
      );
  };
  return (method, call) => {
    const isUnary = !method.requestStream;
    const admission = admit(call, isUnary);
    // grpc-js starts no handler for a call that has its status.
    if (admission.kind === 'refused') call.sendStatus(toStatus(admission.refusal));
    const guarded = admission.kind === 'guarded' ? admission.guarded : undefined;
    return new ServerInterceptingCall(
      call,
      new ResponderBuilder()
        .withStart((next) => {
          // A half-close must not overtake the message before it.
          let held: Promise<void> | undefined;
          let isFirst = true;
          let isRefused = false;
          let requestBytes = 0;
          next(
            new ServerListenerBuilder()
              .withOnReceiveMessage((message, deliver) => {
                const bytes = (message as Buffer).length;
                const pass = (): void => {
                  if (isUnary) requestBytes += bytes;
                  else guarded?.taken(bytes);
                  deliver(message);
                };
                const deciding = isFirst && ownership !== ownsAll ? decide(message as Buffer) : undefined;
                isFirst = false;
                if (deciding === undefined && log.pendingBytes < pendingBytes) {
                  pass();
                  return;
                }
                const hold = async (): Promise<void> => {
                  const refusal = await deciding;
                  // Without a guard it is the intake that refuses.
                  if (refusal !== undefined && guarded !== undefined) {
                    isRefused = true;
                    guarded.refuse(refusal);
                    return;
                  }
                  await log.roomBelow(pendingBytes);
                  held = undefined;
                  pass();
                };
                held = hold();
              })
              .withOnReceiveHalfClose((deliver) => {
                if (guarded?.halfClosed() === false) return;
                const pass = (): void => {
                  if (isRefused) return;
                  if (isUnary) guarded?.taken(requestBytes);
                  deliver();
                };
                if (held === undefined) pass();
                else void held.then(pass);
              })
              .build(),
          );
        })
        .build(),
    );
  };
}
