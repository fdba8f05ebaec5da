/** All questions, in the order in which `all` asks them. */
import type { Question } from './question.js';
import { ingest } from './questions/ingest.js';
import { rows } from './questions/rows.js';

export const questionList: readonly Question[] = [ingest, rows];
