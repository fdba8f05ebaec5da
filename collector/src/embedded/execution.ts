/** What a statement runs with, shared by the ways through the store. */
import type { ServerResponse } from 'node:http';
import type { embeddedLimits } from '../limits.js';
import type { ReceivedStatement } from './body.js';
import type { EngineConnection } from './engine.js';
import type { StatementRequest } from './request.js';
import type { Identity } from './response.js';
import type { ResultPipes } from './result-pipe.js';
import type { Running } from './running.js';

export interface Execution {
  readonly request: StatementRequest;
  readonly received: ReceivedStatement;
  readonly connection: EngineConnection;
  /** SET and USE, to stand before the statement. */
  readonly prelude: string;
  /** Finds the statement among those that run. */
  readonly mark: string;
  readonly response: ServerResponse;
  readonly identity: Identity;
  /** Aborted when the client is gone, or when the store stops and waits no longer. */
  readonly signal: AbortSignal;
  readonly running: Running;
  readonly pipes: ResultPipes;
  readonly limits: { readonly [Name in keyof typeof embeddedLimits]: number };
}
