/** The address that a listener got: the host as given, the port as bound. */
export function boundAddress(given: string, port: number): string {
  return `${given.slice(0, given.lastIndexOf(':'))}:${port}`;
}
