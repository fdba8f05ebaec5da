/** multipart/form-data: clients send `query` and `param_*` this way when they are too long for a URL. */
import type { IncomingMessage } from 'node:http';
import { exception } from './exceptions.js';

/** The fields of the form; files (ClickHouse's external tables) are refused. */
export async function readForm(
  body: AsyncIterable<Buffer>,
  message: Pick<IncomingMessage, 'headers'>,
  limitBytes: number,
): Promise<ReadonlyMap<string, string>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > limitBytes) {
      throw exception(
        'QUERY_IS_TOO_LARGE',
        `The form has more than ${limitBytes} bytes, which is what is allowed (embedded.queryBytes)`,
      );
    }
    chunks.push(chunk);
  }
  let form: FormData;
  try {
    const type = message.headers['content-type'] ?? '';
    form = await new Response(Buffer.concat(chunks), { headers: { 'content-type': type } }).formData();
  } catch (cause) {
    throw exception(
      'BAD_ARGUMENTS',
      `The multipart/form-data body cannot be read: ${(cause as Error).message}`,
      cause,
    );
  }
  const fields = new Map<string, string>();
  for (const [name, value] of form) {
    if (typeof value !== 'string') {
      throw exception(
        'NOT_IMPLEMENTED',
        `The embedded store does not serve external tables (the form's file '${name.slice(0, 100)}'); insert into a temporary table within a session instead`,
      );
    }
    fields.set(name, value);
  }
  return fields;
}
