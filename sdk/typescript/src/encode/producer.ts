import { wireLimits } from '../limits.js';
import { bytesField, tag, varintField, wireType, writeMsAsNanos } from './protobuf.js';
import { utf8Cut } from './utf8.js';

/** What is constant for one logger; see `Producer` in the contract. */
export interface ProducerFacts {
  readonly id: Uint8Array;
  readonly project: string;
  readonly run: string;
  readonly job: string;
  readonly host: string;
  readonly pid: number;
  readonly rank: number;
  readonly localRank: number | undefined;
  readonly worldSize: number | undefined;
  readonly attempt: number;
  readonly sdkName: string;
  readonly sdkVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly startMs: number;
}

/** The field `producer` of a LogRequest, to be put in front of a request. */
export function encodeProducer(facts: ProducerFacts): Uint8Array {
  const fields: Uint8Array[] = [];
  const text = (field: number, value: string): void => {
    if (value !== '') fields.push(textField(field, value));
  };
  const number = (field: number, value: number | undefined): void => {
    if (value !== undefined) fields.push(varintField(field, value));
  };
  fields.push(bytesField(1, facts.id));
  text(2, facts.project);
  text(3, facts.run);
  text(4, facts.job);
  text(5, facts.host);
  number(6, facts.pid);
  number(7, facts.rank === 0 ? undefined : facts.rank);
  number(8, facts.localRank);
  number(9, facts.worldSize);
  number(10, facts.attempt === 0 ? undefined : facts.attempt);
  text(11, facts.sdkName);
  text(12, facts.sdkVersion);
  for (const [key, value] of Object.entries(facts.labels)) {
    fields.push(bytesField(13, Buffer.concat([textField(1, key), textField(2, value)])));
  }
  fields.push(startField(facts.startMs));
  return bytesField(1, Buffer.concat(fields));
}

function textField(field: number, value: string): Uint8Array {
  return bytesField(field, utf8Cut(value, wireLimits.producerStringBytes));
}

function startField(startMs: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = tag(14, wireType.fixed64);
  writeMsAsNanos(new DataView(bytes.buffer), 1, startMs);
  return bytes;
}
