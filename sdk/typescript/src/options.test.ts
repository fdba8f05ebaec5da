import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { newRun } from './create-logger.js';
import { parseEndpoint } from './endpoint.js';
import { createLogger } from './index.js';
import { numberOptions } from './limits.js';
import { resolveOptions, type Settings } from './options.js';
import { uuid7, uuidText } from './uuid7.js';
import { sdkVersion } from './version.js';

function resolve(options: unknown, variables: Record<string, string> = {}): Settings {
  return resolveOptions(options, { variables, host: 'node-1', newRun: () => 'new-run' });
}

test('without options everything has a default', () => {
  const settings = resolve(undefined);
  assert.deepEqual(settings.endpoint, { target: '127.0.0.1:4317', tls: false });
  assert.equal(settings.project, 'default');
  assert.equal(settings.run, 'new-run');
  assert.equal(settings.host, 'node-1');
  assert.equal(settings.rank, 0);
  assert.equal(settings.bufferBytes, 64 * 1024 * 1024);
  assert.deepEqual(settings.warnings, []);
});

test('an option wins over the environment', () => {
  const settings = resolve({ run: 'a', rank: 1 }, { SLUICE_RUN: 'b', RANK: '2', LOCAL_RANK: '3' });
  assert.deepEqual([settings.run, settings.rank, settings.localRank], ['a', 1, 3]);
});

test('the encoding comes from the option, the environment, or is blocks', () => {
  assert.equal(resolve(undefined).encoding, 'blocks');
  assert.equal(resolve(undefined, { SLUICE_ENCODING: 'rows' }).encoding, 'rows');
  assert.equal(resolve({ encoding: 'blocks' }, { SLUICE_ENCODING: 'rows' }).encoding, 'blocks');
  const { encoding, warnings } = resolve({ encoding: 'columns' }, { SLUICE_ENCODING: 'row' });
  assert.equal(encoding, 'blocks');
  assert.deepEqual(warnings, [
    'environment variable SLUICE_ENCODING is "row"; ignored, it must be blocks or rows',
    "option encoding is \"columns\"; ignored, it must be 'blocks' or 'rows'",
  ]);
});

test('what is wrong is ignored with a warning that names it, its value and what is allowed', () => {
  const settings = resolve({
    rank: -1,
    project: 5,
    bufferBytes: '64',
    endpoint: 'not an endpoint',
    labels: { a: {} },
  });
  assert.equal(settings.rank, 0);
  assert.equal(settings.project, 'default');
  assert.equal(settings.bufferBytes, numberOptions.bufferBytes.default);
  assert.equal(settings.endpoint.target, '127.0.0.1:4317');
  assert.equal(settings.warnings.length, 5);
  assert.ok(settings.warnings.includes('option project is 5; ignored, it must be a string'));
  assert.ok(
    settings.warnings.includes('option rank is -1; ignored, it must be a whole number from 0 to 4294967295'),
  );
});

test('a port alone is no endpoint, and it is said what is one', () => {
  const forms = 'host:port, http://host:port or https://host:port; 127.0.0.1:4317 is used';
  for (const port of [4317, '4317']) {
    const { endpoint, warnings } = resolve({ endpoint: port }, { SLUICE_ENDPOINT: 'prod:4317' });
    assert.equal(endpoint.target, '127.0.0.1:4317');
    assert.deepEqual(warnings, [`option endpoint is ${JSON.stringify(port)}; ignored, it must be ${forms}`]);
  }
});

test('an endpoint that is absent or empty comes from the environment', () => {
  for (const endpoint of [undefined, null, '']) {
    const settings = resolve({ endpoint }, { SLUICE_ENDPOINT: 'prod:4317' });
    assert.deepEqual([settings.endpoint.target, settings.warnings], ['prod:4317', []]);
  }
});

test('nothing that is given in place of options throws', () => {
  const hostile = {
    get run(): string {
      throw new Error('no');
    },
  };
  const labels = {
    get a(): string {
      throw new Error('no');
    },
  };
  for (const options of [
    null,
    5,
    'text',
    hostile,
    { labels },
    { labels: 5 },
    { onDiagnostic: 5 },
    Symbol('s'),
  ]) {
    assert.equal(resolve(options).run, 'new-run');
  }
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assert.equal(resolve(proxy).run, 'new-run');
});

test('a spool directory and a mode come from options, then the environment, and offline has a default', () => {
  const nothing = resolve({});
  assert.deepEqual([nothing.spoolDir, nothing.mode], [undefined, 'online']);
  assert.equal(resolve({ spoolDir: '/a' }, { SLUICE_SPOOL_DIR: '/b' }).spoolDir, '/a');
  assert.equal(resolve({}, { SLUICE_SPOOL_DIR: '/b' }).spoolDir, '/b');
  assert.equal(resolve({ spoolDir: 'here' }).spoolDir, `${process.cwd()}/here`);
  const offline = resolve({}, { SLUICE_MODE: 'offline' });
  assert.deepEqual([offline.mode, offline.spoolDir], ['offline', `${process.cwd()}/sluice-spool`]);
  assert.equal(resolve({ mode: 'online' }, { SLUICE_MODE: 'offline' }).mode, 'online');
});

test('a spool directory or a mode that is none is ignored and named', () => {
  const { mode, spoolDir, spoolBytes, warnings } = resolve(
    { mode: 'off', spoolDir: 5, spoolBytes: 10 },
    { SLUICE_MODE: 'on' },
  );
  assert.deepEqual([mode, spoolDir, spoolBytes], ['online', undefined, 1024 ** 3]);
  assert.equal(warnings.length, 4);
  assert.match(
    warnings.join(),
    /SLUICE_MODE is "on".*spoolBytes is 10.*mode is "off"; ignored, it must be 'online'/,
  );
});

test('ranks without a common run are warned about', () => {
  assert.match(resolve({}, { RANK: '0', WORLD_SIZE: '8' }).warnings.join(), /no run is given.*8 ranks/);
});

test('a request and a call are never larger than the buffer allows', () => {
  const settings = resolve({ bufferBytes: 65_536 });
  assert.deepEqual([settings.requestBytes, settings.callBytes], [16_384, 32_768]);
});

test('endpoints are read in every usual form', () => {
  const target = (text: string) => parseEndpoint(text)?.target;
  assert.equal(target('collector:4317'), 'collector:4317');
  assert.equal(target('collector'), 'collector:4317');
  assert.equal(target('http://10.0.0.1:5000'), '10.0.0.1:5000');
  assert.equal(target('HTTP://collector:5000'), 'collector:5000');
  assert.equal(target('collector:'), 'collector:4317');
  assert.equal(target('http://collector:80/'), 'collector:80');
  assert.equal(target('[::1]:4317'), '[::1]:4317');
  assert.equal(target('unix:/run/sluice.sock'), 'unix:/run/sluice.sock');
  assert.deepEqual(parseEndpoint('https://logs.example:443'), { target: 'logs.example:443', tls: true });
  for (const wrong of [
    '',
    '  ',
    'a b',
    'ftp://x:1',
    'http://',
    'host:99999',
    'http://x/path',
    'http://u:p@x',
    '4317',
    '4317:4317',
    'http://4317',
    'HTTP://4317',
    '4317:',
    'https://4317:/',
    ':4317',
    'http:///4317',
    'http://@4317',
  ]) {
    assert.equal(parseEndpoint(wrong), undefined, wrong);
  }
});

test('a UUIDv7 carries its time, its version and its variant', () => {
  const text = uuidText(uuid7(0x0123_4567_89ab));
  assert.match(text, /^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(text, uuidText(uuid7(0x0123_4567_89ab)));
});

test('a run that nobody named sorts by time', () => {
  assert.match(newRun(Date.UTC(2026, 10, 23, 0, 53, 50), uuid7(0)), /^20261123-005350-[0-9a-f]{6}$/);
});

test('the version on the wire is the package’s', () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  assert.equal(sdkVersion, manifest.version);
});

test('a logger is made whatever it is given, and says what was wrong', async () => {
  const messages: string[] = [];
  const onDiagnostic = ({ message }: { message: string }) => {
    messages.push(message);
    throw new Error('a callback that throws');
  };
  const logger = createLogger({ onDiagnostic, rank: Number.NaN });
  assert.match(messages[0] ?? '', /option rank is NaN/);
  await logger.close({ timeoutMs: 0 });
});

test('an option that there is not is named, with the one that was meant', () => {
  assert.deepEqual(resolve({ spool_dir: '/tmp/x', colour: 'red' }).warnings, [
    'there is no option spool_dir; ignored; did you mean spoolDir?',
    'there is no option colour; ignored',
  ]);
});
