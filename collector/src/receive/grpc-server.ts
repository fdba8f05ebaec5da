/**
 * The gRPC side of the collector. Messages are bytes here: nothing decodes them but validate/.
 *
 * Invariants:
 * 1. A call is answered once, after the log has synced everything it brought.
 * 2. A refused or broken call costs no other call anything.
 * 3. `stop` refuses new calls, waits for the open ones, then cuts what is left.
 */
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { type LogResponse, loaderOptions, protoPath, rejectionReasons } from '@sluice/proto';
import { SluiceError } from '../errors.js';
import { reach } from '../fault-points.js';
import type { MessageLimits, ReceiveLimits } from '../limits.js';
import type { WriteAheadLog } from '../wal/log.js';
import { admissionInterceptor } from './admission.js';
import { type Acknowledgment, CallIntake, type Refusal } from './intake.js';
import { toStatus } from './status.js';
import { widenWindows } from './windows.js';

export interface GrpcServerOptions {
  readonly log: WriteAheadLog;
  /** Host and port; port 0 takes any free one. */
  readonly address: string;
  readonly messageLimits: MessageLimits;
  readonly limits: ReceiveLimits;
  readonly now: () => number;
  readonly notices: { warn(fields: object, message: string): void };
}

const identity = (bytes: Buffer): Buffer => bytes;
/** Room for a message's envelope above the limit, so that the limit itself is judged by us. */
const envelopeBytes = 1024;

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  #server: Server | undefined;
  #stopping: Promise<void> | undefined;
  /** Calls that still send, with the time of their last message on the monotonic clock. */
  readonly #calls = new Map<object, { lastMessageMs: number; readonly refuse: (refusal: Refusal) => void }>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  /** Resolves to the port that it listens on. */
  async start(): Promise<number> {
    // What grpc-js would print is told by our own errors.
    setLogVerbosity(logVerbosity.NONE);
    const { limits, messageLimits, log, notices, address } = this.#options;
    const server = new Server({
      'grpc.max_receive_message_length': messageLimits.messageBytes + envelopeBytes,
      'grpc.max_concurrent_streams': limits.callsPerConnection,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 20_000,
      interceptors: [admissionInterceptor(log, limits.pendingBytes)],
    });
    const widen = widenWindows(server, limits, notices);
    server.addService(loadService(), {
      Log: (call: ServerReadableStream<Buffer, LogResponse>, respond: sendUnaryData<LogResponse>) =>
        this.#log(call, respond),
      LogOnce: (call: ServerUnaryCall<Buffer, LogResponse>, respond: sendUnaryData<LogResponse>) =>
        void this.#logOnce(call, respond),
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else {
          const inUse = /EADDRINUSE/.test(error.message);
          reject(
            new SluiceError(
              inUse ? 'address_in_use' : 'configuration',
              inUse
                ? `the gRPC address ${address} is in use by another process; stop that one or choose another with --grpc HOST:PORT`
                : `the gRPC address ${address} cannot be listened on: ${error.message}; set --grpc HOST:PORT`,
              { cause: error },
            ),
          );
        }
      });
    });
    widen();
    this.#server = server;
    this.#sweep = setInterval(() => this.#endIdleCalls(), Math.min(limits.callIdleMs, 10_000));
    this.#sweep.unref();
    return port;
  }

  /** Lets open calls finish for up to `callsMs`, then ends them. */
  stop(callsMs: number): Promise<void> {
    this.#stopping ??= this.#stop(callsMs);
    return this.#stopping;
  }

  async #stop(callsMs: number): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    clearInterval(this.#sweep);
    const finished = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    const deadline = setTimeout(() => server.forceShutdown(), callsMs);
    await finished;
    clearTimeout(deadline);
  }

  #log(call: ServerReadableStream<Buffer, LogResponse>, respond: sendUnaryData<LogResponse>): void {
    const intake = this.#newIntake();
    let answered = false;
    const refuse = (refusal: Refusal): void => {
      if (answered) return;
      answered = true;
      this.#calls.delete(call);
      void intake.settle(refusal).then((settled) => respond(toStatus(settled)));
      // What the client still sends is read and dropped, so that it sees the status and not a stall.
      call.resume();
    };
    const open = { lastMessageMs: performance.now(), refuse };
    this.#calls.set(call, open);
    call.on('data', (message: Buffer) => {
      if (answered) return;
      open.lastMessageMs = performance.now();
      const refusal = this.#checkSize(message) ?? intake.take(message);
      if (refusal !== undefined) refuse(refusal);
    });
    call.on('end', () => {
      this.#calls.delete(call);
      if (answered) return;
      void intake.acknowledge().then((outcome) => {
        if (answered) return;
        if ('kind' in outcome) {
          refuse(outcome);
          return;
        }
        answered = true;
        reach('acknowledge.before');
        respond(null, toResponse(outcome));
        reach('acknowledge.after');
      });
    });
    const gone = (): void => {
      answered = true;
      this.#calls.delete(call);
    };
    call.on('cancelled', gone);
    // A broken connection: what the call brought stays appended, and is a duplicate when it comes again.
    call.on('error', gone);
  }

  async #logOnce(
    call: ServerUnaryCall<Buffer, LogResponse>,
    respond: sendUnaryData<LogResponse>,
  ): Promise<void> {
    const intake = this.#newIntake();
    const refusal = this.#checkSize(call.request) ?? intake.take(call.request);
    const outcome = refusal ?? (await intake.acknowledge());
    if ('kind' in outcome) respond(toStatus(await intake.settle(outcome)));
    else {
      reach('acknowledge.before');
      respond(null, toResponse(outcome));
      reach('acknowledge.after');
    }
  }

  #newIntake(): CallIntake {
    return new CallIntake(this.#options.log, this.#options.messageLimits, this.#options.now);
  }

  #checkSize(message: Buffer): Refusal | undefined {
    const most = this.#options.messageLimits.messageBytes;
    if (message.length <= most) return undefined;
    return {
      kind: 'too_large',
      message: `the message has ${message.length} bytes; at most ${most} are allowed`,
    };
  }

  #endIdleCalls(): void {
    const oldest = performance.now() - this.#options.limits.callIdleMs;
    for (const { lastMessageMs, refuse } of this.#calls.values()) {
      if (lastMessageMs >= oldest) continue;
      refuse({
        kind: 'unavailable',
        message: `the call carried nothing for ${this.#options.limits.callIdleMs} ms; half-close a call to get its acknowledgment`,
        retryDelayMs: 0,
      });
    }
  }
}

/** The service with requests as bytes. Tail is not served yet: grpc-js answers it with UNIMPLEMENTED. */
function loadService(): ServiceDefinition {
  const methods = loadSync(protoPath, loaderOptions)[
    'sluice.v1.EventCollector'
  ] as unknown as ServiceDefinition;
  return Object.fromEntries(
    Object.entries(methods)
      .filter(([name]) => name !== 'Tail')
      .map(([name, method]) => [name, { ...method, requestDeserialize: identity }]),
  );
}

function toResponse(acknowledgment: Acknowledgment): LogResponse {
  return {
    durable_sequence: String(acknowledgment.durableSequence),
    accepted: String(acknowledgment.accepted),
    duplicates: String(acknowledgment.duplicates),
    rejections: acknowledgment.rejections.map(({ sequence, reason, detail }) => ({
      sequence: String(sequence),
      reason:
        `REJECTION_REASON_${(rejectionReasons[reason] ?? 'unspecified').toUpperCase()}` as 'REJECTION_REASON_UNSPECIFIED',
      detail,
    })),
  };
}
