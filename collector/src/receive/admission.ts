/**
 * Stops reading before memory runs out: while more than `pendingBytes` wait for the log, the next
 * message of a call is held back. grpc-js asks for another one only after a message was delivered, so
 * holding one stops the stream, and HTTP/2 flow control stops the client.
 */
import {
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';

export interface PendingLog {
  readonly pendingBytes: number;
  roomBelow(bytes: number): Promise<void>;
}

export function admissionInterceptor(log: PendingLog, pendingBytes: number): ServerInterceptor {
  return (_method, call) =>
    new ServerInterceptingCall(
      call,
      new ResponderBuilder()
        .withStart((next) => {
          // A half-close must not overtake the message before it.
          let held: Promise<void> | undefined;
          next(
            new ServerListenerBuilder()
              .withOnReceiveMessage((message, deliver) => {
                if (log.pendingBytes < pendingBytes) {
                  deliver(message);
                  return;
                }
                held = log.roomBelow(pendingBytes).then(() => {
                  held = undefined;
                  deliver(message);
                });
              })
              .withOnReceiveHalfClose((deliver) => {
                if (held === undefined) deliver();
                else void held.then(deliver);
              })
              .build(),
          );
        })
        .build(),
    );
}
