/**
 * Lets calls and messages in. A call above a limit is refused with the limit's name and a delay. While
 * more than `pendingBytes` wait for the log, the next message of a call is held back: grpc-js asks for
 * another one only after a message was delivered, so holding one stops the stream, and HTTP/2 flow
 * control stops the client.
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
  log: PendingLog,
  limits: ReceiveLimits,
  admit: (call: Parameters<ServerInterceptor>[1], isUnary: boolean) => CallAdmission,
): ServerInterceptor {
  const { pendingBytes } = limits;
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
                if (log.pendingBytes < pendingBytes) {
                  pass();
                  return;
                }
                held = log.roomBelow(pendingBytes).then(() => {
                  held = undefined;
                  pass();
                });
              })
              .withOnReceiveHalfClose((deliver) => {
                if (guarded?.halfClosed() === false) return;
                const pass = (): void => {
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
