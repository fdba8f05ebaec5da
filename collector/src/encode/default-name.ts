/** What an event without a name is stored as (collector.proto, `Event.name`). */
export const defaultName = Buffer.from('log');
