// Installs and builds what is missing, then runs the demo (examples/demo). `-- --keep` leaves it running.
// The arguments are the demo's; build.mjs would hand them to the compiler.
const given = process.argv.splice(2);
await import('./setup.mjs');
await import('./build.mjs');
process.argv.push(...given);
await import('../examples/dist/demo/main.js');
