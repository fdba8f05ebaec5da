import * as grpc from '@grpc/grpc-js';
import { paths } from '@sluice/proto';
import { type CollectorModel, RefusedCall } from './collector-model.js';
import { logMethod } from './wire.js';

export interface FakeServer {
  readonly port: number;
  readonly endpoint: string;
  /** Ends every connection at once, as a killed process does. */
  kill(): void;
}

export interface ServerBehaviour {
  /** Called instead of answering an ended call; the answer is `answer()`. */
  readonly onEnd?: (answer: () => void) => void;
  /** Takes the first message of a call and no more, and never answers. */
  readonly hangs?: boolean;
}

/** The service over a real gRPC server on 127.0.0.1, with the rules of the model. */
export async function startServer(
  model: CollectorModel,
  behaviour: ServerBehaviour = {},
  port = 0,
): Promise<FakeServer> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
  server.addService(
    {
      Log: {
        path: paths.log,
        requestStream: true,
        responseStream: false,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (response: object) => logMethod.responseSerialize(response),
        requestSerialize: (bytes: Buffer) => bytes,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    {
      Log: (call: grpc.ServerReadableStream<Buffer, object>, respond: grpc.sendUnaryData<object>) => {
        const taken = model.openCall();
        let isOver = false;
        if (behaviour.hangs) {
          call.once('data', () => call.pause());
          return;
        }
        call.on('data', (bytes: Buffer) => {
          if (isOver) return;
          try {
            taken.take(bytes);
          } catch (error) {
            isOver = true;
            respond(statusOf(error));
          }
        });
        call.on('error', () => {
          isOver = true;
        });
        call.on('end', () => {
          if (isOver) return;
          const answer = (): void => respond(null, taken.response());
          if (behaviour.onEnd) behaviour.onEnd(answer);
          else answer();
        });
      },
    },
  );
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, actual) =>
      error ? reject(error) : resolve(actual),
    );
  });
  return { port: bound, endpoint: `127.0.0.1:${bound}`, kill: () => server.forceShutdown() };
}

function statusOf(error: unknown): Partial<grpc.StatusObject> {
  if (!(error instanceof RefusedCall)) return { code: grpc.status.INVALID_ARGUMENT, details: String(error) };
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(error.refusal.metadata)) metadata.set(key, value);
  return { code: error.refusal.code, details: error.refusal.message, metadata };
}
