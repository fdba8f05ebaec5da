/**
 * What quarantine keeps of an event: a LogRequest with its producer and its number, which anyone can
 * decode and send again. The events' own bytes are copied as the producer wrote them; those of a block become
 * events of their own.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */
import type { Producer } from '../record.js';
import { MessageBytes } from './message-bytes.js';

/** @param events encoded `Event` messages with numbers in a row, from `firstSequence` on */
export function encodeQuarantinedRequest(
  producer: Producer,
  firstSequence: number,
  events: readonly Buffer[],
): Buffer {
  const message = new MessageBytes();
  message.bytes(0x0a, encodeProducer(producer));
  message.uint(0x10, firstSequence);
  for (const event of events) message.bytes(0x1a, event);
  return message.end();
}

/** A `Producer` as collector.proto has it. What is absent stays absent. */
export function encodeProducer(producer: Producer): Buffer {
  const message = new MessageBytes();
  message.bytes(0x0a, producer.id);
  message.text(0x12, producer.project);
  message.text(0x1a, producer.runId);
  message.text(0x22, producer.job);
  message.text(0x2a, producer.host);
  message.uint(0x30, producer.pid);
  message.uint(0x38, producer.rank);
  if (producer.localRank !== null) message.uint(0x40, producer.localRank);
  if (producer.worldSize !== null) message.uint(0x48, producer.worldSize);
  message.uint(0x50, producer.attempt);
  message.text(0x5a, producer.sdkName);
  message.text(0x62, producer.sdkVersion);
  for (const [key, value] of producer.labels) {
    const entry = new MessageBytes();
    entry.text(0x0a, key);
    entry.text(0x12, value);
    message.bytes(0x6a, entry.end());
  }
  if (producer.startTimeUnixNano !== '') message.fixed64(0x71, BigInt(producer.startTimeUnixNano));
  return message.end();
}
