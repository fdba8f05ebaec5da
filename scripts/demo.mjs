// Installs and builds what is missing, then runs the demo (examples/demo). `-- --keep` leaves it running.
import './build.mjs';

// Not a static import: what it names exists only once it is built.
await import('../examples/dist/demo/main.js');
