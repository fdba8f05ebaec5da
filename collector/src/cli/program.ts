/** All subcommands, their flags and their help. What a subcommand does is loaded only when it runs. */
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, Option } from 'commander';
import { holdYoungGeneration } from '../heap-flags.js';
import { exitCodeHelp, exitCodes } from './exit-codes.js';
import { reportFailure } from './failure.js';
import {
  type ConfigFlags,
  collectParameter,
  configOption,
  databaseOption,
  dataOption,
  grpcOption,
  jsonOption,
  parseSeconds,
  portOption,
  storeOption,
  workersOption,
} from './flags.js';
import { limitOption, rowsOption } from './ledger-flags.js';
import type { LossesFlags } from './losses.js';
import type { QuarantineDropFlags, QuarantineListFlags, QuarantineSelection } from './quarantine.js';
import type { RunsFlags } from './runs.js';
import type { SqlFlags } from './sql.js';
import type { StoreFlags } from './store.js';
import type { SyncFlags } from './sync.js';
import type { WalInspectFlags } from './wal-inspect.js';

export async function runProgram(argv: readonly string[]): Promise<void> {
  const program = describeProgram();
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help that was asked for is no error; commander has printed its message.
      process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
      return;
    }
    // A service that failed to start may still hold timers and sockets.
    process.exit(reportFailure(error));
  }
}

export function describeProgram(): Command {
  const program = new Command('sluice')
    .description('The event log for fleets of machine-learning jobs: gRPC in, ClickHouse out, exactly once.')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'sluice: ')) })
    .showHelpAfterError('(--help shows what is allowed)');

  program
    .command('up')
    .description('start the collector with its embedded store: all you need on one machine')
    .addOption(dataOption())
    .addOption(grpcOption())
    .addOption(workersOption())
    .addOption(portOption('--store-port'))
    .addOption(configOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples([
        'sluice up',
        'sluice up --data /var/lib/sluice --grpc 0.0.0.0:4317 --store-port 8123',
        'sluice up --data /tmp/try --grpc 127.0.0.1:0 --store-port 0 --json',
      ]),
    )
    .action(async ({ storePort, ...flags }: ConfigFlags & { storePort?: number }) => {
      holdYoungGeneration();
      const { up } = await import('./up.js');
      await up({ ...flags, ...(storePort !== undefined && { port: storePort }) });
    });

  program
    .command('collector')
    .description('start the collector alone, writing to any ClickHouse')
    .addOption(configOption())
    .addOption(dataOption())
    .addOption(grpcOption())
    .addOption(workersOption())
    .addOption(storeOption())
    .addOption(databaseOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples([
        'sluice collector --store http://clickhouse:8123 --database events',
        'sluice collector --config /etc/sluice.yaml',
        'SLUICE_WAL_DISK_BYTES=107374182400 sluice collector',
      ]),
    )
    .action(async (flags: ConfigFlags) => {
      holdYoungGeneration();
      const { collector } = await import('./collector.js');
      await collector(flags);
    });

  program
    .command('store')
    .description("start the embedded store alone; it speaks ClickHouse's HTTP protocol")
    .addOption(dataOption())
    .addOption(portOption('--port'))
    .addOption(new Option('--host <H>', 'the address to listen on (default: 127.0.0.1)'))
    .addOption(configOption())
    .addOption(jsonOption())
    .addOption(new Option('--supervised').hideHelp())
    .addHelpText(
      'after',
      examples([
        'sluice store',
        'sluice store --data /var/lib/sluice --port 8123',
        "curl http://127.0.0.1:8123 --data 'SELECT version()'",
      ]),
    )
    .action(async (flags: StoreFlags) => (await import('./store.js')).store(flags));

  program
    .command('migrate')
    .description('create or update the tables; `up` and `collector` do so at their start')
    .addOption(storeOption())
    .addOption(databaseOption())
    .addHelpText(
      'after',
      examples(['sluice migrate', 'sluice migrate --store http://clickhouse:8123 --database events']),
    )
    .action(async (flags: ConfigFlags) => (await import('./migrate.js')).migrate(flags));

  program
    .command('sql')
    .description('run one SQL statement: a table on a terminal, tab-separated rows in a pipe')
    .addArgument(new Argument('<statement>', 'the SQL, or - to read it from standard input'))
    .addOption(storeOption())
    .addOption(databaseOption())
    .addOption(
      new Option(
        '--format <F>',
        'any ClickHouse format, passed on byte for byte: JSONEachRow, CSVWithNames, Parquet, …',
      ),
    )
    .addOption(
      new Option('--param <name=value>', 'the value of {name:Type} in the SQL; may be repeated')
        .argParser(collectParameter)
        .default({}, 'none'),
    )
    .addHelpText(
      'after',
      examples([
        'sluice sql "SELECT name, count() FROM events GROUP BY name"',
        'sluice sql "SELECT step, metrics[\'loss\'] FROM events WHERE run_id = {run:String}" --param run=my-run --format CSVWithNames',
        'sluice sql "SELECT * FROM events" --format Parquet > events.parquet',
        'sluice sql - < report.sql',
      ]),
    )
    .action(async (statement: string, flags: SqlFlags) => (await import('./sql.js')).sql(statement, flags));

  program
    .command('runs')
    .description('list the runs, the newest last')
    .addOption(new Option('--project <P>', 'only the runs of this project'))
    .addOption(storeOption())
    .addOption(databaseOption())
    .addHelpText('after', examples(['sluice runs', 'sluice runs --project training-logs']))
    .action(async (flags: RunsFlags) => (await import('./runs.js')).runs(flags));

  program
    .command('sync')
    .description(
      'deliver what jobs left in a spool directory: killed, offline, or without a collector; fails if something is left or damaged (what a living job delivers itself does not count)',
    )
    .addArgument(
      new Argument('[dir]', 'the spoolDir of the jobs (default: SLUICE_SPOOL_DIR, then ./sluice-spool)'),
    )
    .addOption(
      new Option(
        '--endpoint <HOST:PORT>',
        'the collector, as in the SDK (default: SLUICE_ENDPOINT, then 127.0.0.1:4317)',
      ),
    )
    .addOption(
      new Option(
        '--other-hosts',
        'take the spools of other hosts and containers too; their jobs must be gone',
      ),
    )
    .addOption(
      new Option(
        '--timeout <S>',
        'stop after so many seconds without progress; 0: never (default: 30)',
      ).argParser(parseSeconds),
    )
    .addOption(new Option('--json', 'one line of JSON a producer'))
    .addHelpText(
      'after',
      examples([
        'sluice sync ./sluice-spool',
        'sluice sync /shared/spool --endpoint collector:4317 --other-hosts',
        'sluice sync --json --timeout 5',
      ]),
    )
    .action(async (directory: string | undefined, flags: SyncFlags) =>
      (await import('./sync.js')).sync(directory, flags),
    );

  program
    .command('losses')
    .description('list the numbers that are no events, with the reason of each, the newest last')
    .addOption(new Option('--project <P>', 'only of this project'))
    .addOption(new Option('--run <R>', 'only of this run'))
    .addOption(new Option('--producer <ID>', 'only of this producer; the beginning of its id is enough'))
    .addOption(
      new Option(
        '--reason <REASON>',
        'only for this reason: buffer_full, too_large, quarantined, damaged, …; the summary names them',
      ),
    )
    .addOption(
      new Option('--origin <ORIGIN>', 'only what this one lost').choices(['sdk', 'collector', 'store']),
    )
    .addOption(limitOption())
    .addOption(rowsOption())
    .addOption(storeOption())
    .addOption(databaseOption())
    .addHelpText(
      'after',
      examples([
        'sluice losses',
        'sluice losses --run my-run --reason buffer_full',
        'sluice losses --origin sdk --limit 1000 --json',
      ]),
    )
    .action(async (flags: LossesFlags) => (await import('./losses.js')).losses(flags));

  const quarantine = program
    .command('quarantine')
    .description('what ClickHouse refuses for good: list it, store it after all, or drop it');
  const selecting = (command: Command): Command =>
    command
      .addOption(new Option('--batch <ID>', 'only this batch, or all parts of this segment'))
      .addOption(new Option('--project <P>', 'only of this project'))
      .addOption(new Option('--run <R>', 'only of this run'))
      .addOption(storeOption())
      .addOption(databaseOption());
  selecting(quarantine.command('list'))
    .description('list what is in quarantine with the reasons of ClickHouse, the newest last')
    .addOption(limitOption())
    .addOption(rowsOption())
    .addHelpText('after', examples(['sluice quarantine list', 'sluice quarantine list --run my-run --json']))
    .action(async (flags: QuarantineListFlags) => (await import('./quarantine.js')).quarantineList(flags));
  selecting(quarantine.command('replay'))
    .description('store what is in quarantine, once its cause is mended; may be repeated at any time')
    .addHelpText(
      'after',
      examples([
        'sluice quarantine replay',
        'sluice quarantine replay --run my-run',
        'sluice sql "ALTER TABLE events DROP CONSTRAINT my_constraint" && npx sluice quarantine replay',
      ]),
    )
    .action(async (flags: QuarantineSelection) =>
      (await import('./quarantine-replay.js')).quarantineReplay(flags),
    );
  selecting(quarantine.command('drop'))
    .description('throw away what is in quarantine; the ledger of losses keeps its numbers')
    .addOption(new Option('--all', 'everything'))
    .addHelpText(
      'after',
      examples([
        'sluice quarantine drop --batch 0193c1de-5a00-7000-8000-000000000001.5-6',
        'sluice quarantine drop --run my-run',
        'sluice quarantine drop --all',
      ]),
    )
    .action(async (flags: QuarantineDropFlags) => (await import('./quarantine.js')).quarantineDrop(flags));

  const wal = program.command('wal').description('look into a write-ahead log');
  wal
    .command('inspect')
    .description('list segments, producers and ranges, and what the next start would do; changes nothing')
    .addArgument(new Argument('<dir>', 'the data directory of a collector, or the wal folder in it'))
    .addOption(new Option('--json', 'one line of JSON a segment'))
    .addHelpText(
      'after',
      examples(['sluice wal inspect ./sluice-data', 'sluice wal inspect /var/lib/sluice --json']),
    )
    .action(async (directory: string, flags: WalInspectFlags) =>
      (await import('./wal-inspect.js')).walInspect(directory, flags),
    );

  program.addHelpText(
    'after',
    `${examples(['sluice up', 'sluice runs', 'sluice sql "SELECT * FROM events ORDER BY time DESC LIMIT 5"'])}
Settings come from a file (--config), over it from SLUICE_… variables, over them from flags.

${exitCodeHelp}`,
  );
  return program;
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line.startsWith('sluice') ? `npx ${line}` : line.replace(' sluice ', ' npx sluice ')}\n`).join('')}`;
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
