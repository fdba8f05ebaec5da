/** What the collector's `producers` table says about where a producer's events come from. */
export const sdkName = 'sluice-typescript';
/** As in package.json; a test holds them together. */
export const sdkVersion = '0.1.0';
