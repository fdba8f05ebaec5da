/** What the log needs of time besides its clocks, so that a test can bring its own. */
export interface Timers {
  /** Calls back once after so many milliseconds, if the process still lives. Returns what cancels it. */
  after(ms: number, callback: () => void): () => void;
  /** Keeps the process alive meanwhile. */
  sleep(ms: number): Promise<void>;
}

export const nodeTimers: Timers = {
  after(ms, callback) {
    // The log is sealed by `stop`; a timer alone must not keep a process alive.
    const timeout = setTimeout(callback, ms).unref();
    return () => clearTimeout(timeout);
  },
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};
