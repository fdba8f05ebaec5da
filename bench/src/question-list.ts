/** All questions, in the order in which `all` asks them. */
import type { Question } from './question.js';
import { fanIn } from './questions/fan-in.js';
import { ingest } from './questions/ingest.js';
import { latency } from './questions/latency.js';
import { logCall } from './questions/log-call.js';
import { logCallPython } from './questions/log-call-python.js';
import { query } from './questions/query.js';
import { rows } from './questions/rows.js';
import { wide } from './questions/wide.js';
import { workers } from './questions/workers.js';

export const questionList: readonly Question[] = [
  ingest,
  rows,
  logCall,
  logCallPython,
  latency,
  fanIn,
  wide,
  workers,
  query,
];
