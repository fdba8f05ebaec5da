export interface RecordedRequest {
  readonly timeUnixNano: bigint;
  readonly contextTokens: number;
  readonly generatedTokens: number;
}

/** Reads TIMESTAMP,ContextTokens,GeneratedTokens; times are UTC in ticks of 100 ns. */
export function parseRequests(csv: string): RecordedRequest[] {
  const [, ...rows] = csv.split(/\r?\n/).filter((row) => row !== '');
  return rows.map((row, index) => {
    const [, second, fraction = '', contextTokens, generatedTokens] =
      /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.?(\d{0,9}),(\d+),(\d+)$/.exec(row) ?? [];
    if (second === undefined)
      throw new Error(`row ${index + 2} is not TIMESTAMP,ContextTokens,GeneratedTokens: ${row}`);
    const seconds = BigInt(Date.parse(`${second.replace(' ', 'T')}Z`) / 1000);
    return {
      timeUnixNano: seconds * 1_000_000_000n + BigInt(fraction.padEnd(9, '0')),
      contextTokens: Number(contextTokens),
      generatedTokens: Number(generatedTokens),
    };
  });
}
