/** What a supervised store tells its supervisor over the IPC channel. */
import { SluiceError, type SluiceErrorCode } from '../errors.js';

export type StoreNotice =
  | { readonly kind: 'ready'; readonly url: string; readonly port: number }
  /** It cannot start, and ends. */
  | { readonly kind: 'failed'; readonly code: SluiceErrorCode; readonly message: string };

/** Sends a notice and resolves once it has left; without a supervisor there is nothing to do. */
export async function notifySupervisor(notice: StoreNotice): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => {
    process.send?.(notice, () => resolve());
  });
}

export function failureNotice(error: unknown): StoreNotice {
  if (error instanceof SluiceError) return { kind: 'failed', code: error.code, message: error.message };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    kind: 'failed',
    code: 'store_unavailable',
    message: `the embedded store cannot start: ${message}`,
  };
}
