/** The embedded store on one port and one directory, however often it is killed. */
import { Child } from '../processes/child.js';
import type { StoreCalls } from '../processes/protocol.js';
import { StoreClient } from '../store-client.js';
import { Host } from './host.js';

export class StoreHost extends Host<StoreCalls> {
  readonly client: StoreClient;
  readonly #dataDir: string;
  readonly #port: number;

  constructor(options: { dataDir: string; port: number; onLost: (problem: string) => void }) {
    super(options.onLost);
    this.#dataDir = options.dataDir;
    this.#port = options.port;
    this.client = new StoreClient(`http://127.0.0.1:${options.port}`);
  }

  get url(): string {
    return this.client.url;
  }

  protected override spawn(): Child<StoreCalls> {
    return new Child<StoreCalls>({
      role: 'store',
      entry: 'store-process.js',
      logFile: `${this.#dataDir}.log`,
      // Each running statement holds a thread of libuv's pool.
      env: { UV_THREADPOOL_SIZE: '16' },
      onLost: (how) => this.onLost(`the store ended by itself: ${how}`),
    });
  }

  protected override async boot(child: Child<StoreCalls>): Promise<void> {
    await child.ask('start', { dataDir: this.#dataDir, port: this.#port });
  }
}
