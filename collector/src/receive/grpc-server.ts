/**
 * The gRPC side of the collector. Messages are bytes here: nothing decodes them but validate/.
 *
 * Invariants:
 * 1. A call is answered once, after the log has synced everything it brought.
 * 2. A refused or broken call costs no other call anything.
 * 3. `stop` refuses new calls, waits for the open ones, then cuts what is left.
 * 4. What clients can make it hold is bounded by `ReceiveLimits`, whatever they send (reception.ts,
 *    connections.ts).
 */
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerInterceptingCallInterface,
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
import { innerLimits, type MessageLimits, type ReceiveLimits } from '../limits.js';
import type { WriteAheadLog } from '../wal/log.js';
import { admissionInterceptor, type CallAdmission } from './admission.js';
import { CallPace } from './call-pace.js';
import { Connections, type ReceiveNotices } from './connections.js';
import { FrameGarbage } from './frame-garbage.js';
import { GuardedCall, hasInternals } from './guarded-call.js';
import { Inflater } from './inflater.js';
import { type Acknowledgment, CallIntake, type Refusal } from './intake.js';
import { MessageMemory } from './message-memory.js';
import { type Ownership, ownsAll } from './ownership.js';
import { PieceMemory } from './piece-memory.js';
import { Reception } from './reception.js';
import { toStatus } from './status.js';
import { Valve } from './valve.js';

export interface GrpcServerOptions {
  readonly log: WriteAheadLog;
  /** Whose requests may be appended; all, unless said otherwise. */
  readonly ownership?: Ownership | undefined;
  /** Host and port; port 0 takes any free one. */
  readonly address: string;
  readonly messageLimits: MessageLimits;
  readonly limits: ReceiveLimits;
  readonly now: () => number;
  /** Collects the young generation of this thread's heap; V8 decides alone without it. */
  readonly collectYoung?: () => void;
  readonly notices: ReceiveNotices;
}

const identity = (bytes: Buffer): Buffer => bytes;
const monotonic = (): number => performance.now();
const { sweepMs, pieces } = innerLimits.receive;

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  #server: Server | undefined;
  #stopping: Promise<void> | undefined;
  readonly #reception: Reception;
  readonly #connections: Connections;
  readonly #valve: Valve;
  readonly #inflater: Inflater;
  readonly #pace: CallPace;
  readonly #memory = { messages: new MessageMemory(), pieces: new PieceMemory() };
  readonly #garbage: FrameGarbage;
  readonly #release = (message: Buffer): void => this.#memory.messages.release(message);
  /** Calls by their streams, from the headers until the stream is closed. */
  readonly #calls = new Map<object, GuardedCall>();
  #sweep: NodeJS.Timeout | undefined;
  #trimmedMs = monotonic();
  #isUnguarded = false;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    const { limits, messageLimits, notices } = options;
    this.#reception = new Reception(limits, monotonic);
    this.#connections = new Connections(limits, notices);
    this.#valve = new Valve(limits, this.#connections, monotonic);
    this.#pace = new CallPace(limits, monotonic);
    this.#garbage = new FrameGarbage(options.collectYoung ?? (() => undefined));
    this.#inflater = new Inflater(messageLimits.messageBytes, limits.inflateAtOnce);
  }

  /** Calls that have no answer yet. */
  get openCalls(): number {
    return this.#reception.calls;
  }

  /** Bytes of messages that have arrived and are not in the log's hands. */
  get heldBytes(): number {
    return this.#reception.heldBytes;
  }

  /** Calls that were refused for what they held, by the limit's name. */
  get refusals(): Reception['refusals'] {
    return this.#reception.refusals;
  }

  /** Resolves to the port that it listens on. */
  async start(): Promise<number> {
    // What grpc-js would print is told by our own errors.
    setLogVerbosity(logVerbosity.NONE);
    const { limits, messageLimits, log, address, ownership = ownsAll } = this.#options;
    const server = new Server({
      'grpc.max_receive_message_length': messageLimits.messageBytes,
      'grpc.max_concurrent_streams': limits.callsPerConnection,
      'grpc.max_connection_idle_ms': limits.connectionIdleMs,
      // A connection whose client has vanished ends after both.
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 20_000,
      // Its bookkeeping of every connection and call, which nothing here reads.
      'grpc.enable_channelz': 0,
      interceptors: [
        admissionInterceptor({ log, limits, ownership }, (call, isUnary) => this.#admit(call, isUnary)),
      ],
    });
    this.#connections.prepare(server);
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
    this.#connections.attach((stream) => this.#calls.get(stream));
    this.#server = server;
    this.#sweep = setInterval(() => this.#endSlowCalls(), sweepMs);
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
    const finished = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    const deadline = setTimeout(() => server.forceShutdown(), callsMs);
    await finished;
    clearTimeout(deadline);
    clearInterval(this.#sweep);
    this.#reception.stop();
  }

  #admit(call: ServerInterceptingCallInterface, isUnary: boolean): CallAdmission {
    const { limits, messageLimits, notices } = this.#options;
    if (!hasInternals(call)) {
      if (!this.#isUnguarded)
        notices.warn({}, 'grpc-js does not let its calls be guarded; their memory is not bounded');
      this.#isUnguarded = true;
      return { kind: 'unguarded' };
    }
    const { stream } = call;
    if (this.#connections.isRefused(stream)) {
      return refused(`more than ${limits.connections} connections are open (receive.connections)`, limits);
    }
    if (this.#calls.size >= limits.calls) {
      return refused(`${limits.calls} calls are open (receive.calls), which is all that is allowed`, limits);
    }
    const guarded = new GuardedCall({
      call,
      isUnary,
      limits,
      messageBytes: messageLimits.messageBytes,
      memory: this.#memory,
      garbage: this.#garbage,
      reception: this.#reception,
      valve: this.#valve,
      inflater: this.#inflater,
      monotonic,
    });
    this.#calls.set(stream, guarded);
    stream.once('close', () => this.#calls.delete(stream));
    guarded.start();
    this.#connections.share(this.#calls.size);
    return { kind: 'guarded', guarded };
  }

  #log(call: ServerReadableStream<Buffer, LogResponse>, respond: sendUnaryData<LogResponse>): void {
    const intake = this.#newIntake();
    let answered = false;
    const refuse = (refusal: Refusal): void => {
      if (answered) return;
      answered = true;
      void intake.settle(refusal).then((settled) => respond(toStatus(settled)));
      // What the client still sends is read and dropped, so that it sees the status and not a stall.
      call.resume();
    };
    call.on('data', (message: Buffer) => {
      if (answered) return;
      const refusal = intake.take(message);
      if (refusal !== undefined) refuse(refusal);
    });
    call.on('end', () => {
      if (answered) return;
      void intake.acknowledge().then((outcome) => {
        if (answered) return;
        if ('kind' in outcome) {
          refuse(outcome);
          return;
        }
        answered = true;
        reach('acknowledge.before');
        respond(null, toResponse(outcome, this.#pace.answer(intake.producerKey ?? '')));
        reach('acknowledge.after');
      });
    });
    const gone = (): void => {
      answered = true;
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
    const refusal = intake.take(call.request);
    const outcome = refusal ?? (await intake.acknowledge());
    if ('kind' in outcome) respond(toStatus(await intake.settle(outcome)));
    else {
      reach('acknowledge.before');
      // A script's single call says nothing of how often there will be another.
      respond(null, toResponse(outcome, 0));
      reach('acknowledge.after');
    }
  }

  #newIntake(): CallIntake {
    const { log, messageLimits, now, ownership = ownsAll } = this.#options;
    return new CallIntake(log, messageLimits, now, { ownership, released: this.#release });
  }

  #endSlowCalls(): void {
    const nowMs = monotonic();
    const closedMs = this.#valve.sweep();
    this.#connections.sweep();
    for (const call of this.#calls.values()) call.sweep(nowMs, closedMs);
    this.#reception.sweep(closedMs);
    if (nowMs - this.#trimmedMs >= pieces.trimMs) {
      this.#trimmedMs = nowMs;
      this.#memory.pieces.trim();
    }
    this.#connections.share(this.#calls.size);
  }
}

function refused(message: string, { retryDelayMs }: ReceiveLimits): CallAdmission {
  return {
    kind: 'refused',
    refusal: { kind: 'overloaded', message: `${message}; try again later`, retryDelayMs },
  };
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

function toResponse(acknowledgment: Acknowledgment, callAgeMs: number): LogResponse {
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
    call_age_ms: callAgeMs,
  };
}
