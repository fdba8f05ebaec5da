/** One line that tells how far things are: written over on a terminal, a line every few seconds elsewhere. */
const terminalMs = 100;
const elsewhereMs = 2000;

export class LiveLine {
  readonly #read: () => string;
  #timer: NodeJS.Timeout | undefined;

  constructor(read: () => string) {
    this.#read = read;
  }

  start(): void {
    this.#timer = setInterval(() => this.#show(), process.stdout.isTTY ? terminalMs : elsewhereMs);
  }

  /** Leaves the last state standing. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#show();
    if (process.stdout.isTTY) process.stdout.write('\n');
  }

  #show(): void {
    process.stdout.write(process.stdout.isTTY ? `\r\x1b[K${this.#read()}` : `${this.#read()}\n`);
  }
}
