/** How a process gets a wall clock that can be set (processes/stepping-clock.ts). */
export const steppingClock = new URL('../processes/stepping-clock.js', import.meta.url).href;
export const clockOffsetVariable = 'FAULTS_CLOCK_OFFSET_MS';
