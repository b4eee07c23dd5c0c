// What others do to the volume, what stays untouched on it, and what is checked before anything reaches it.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { fileJob, fileTree, publishedValue } from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Sidecar, Variables } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

async function published(sidecar: Sidecar, count: number): Promise<void> {
  await until(`there were ${count} publications`, async () => {
    return (await sidecar.metric('config_sidecar_generation'))['{target="default"}'] === count;
  });
}

/** A directory output of two files, looked at every 300 ms or so. */
async function treeJob(place: Place): Promise<{ readonly out: string; readonly variables: Variables }> {
  const source = fileTree(place);
  await source.set({ one: '1', two: '2' });
  const out = place.directory('out');
  return { out, variables: { ...source.variables, OUTPUT: `${out}/`, UPDATE_FREQUENCY: '300ms' } };
}

describe.concurrent('drift', () => {
  test('of a file is put right, reported, and the application is notified', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const app = await place.app({ config: job.config });
    const sidecar = await place.start({
      ...job.variables,
      APP_PROCESS: place.name,
      UPDATE_FREQUENCY: '300ms',
    });
    await until('it is notified', () => app.told().length === 1);
    rmSync(job.config);
    await until('it is notified that the file is back', () => app.told().length === 2);
    writeFileSync(job.config, '{"value":"evil"}\n');
    await until('it is notified that the content is back', () => app.told().length === 3);
    expect(app.told().map(publishedValue)).toEqual(['one', 'one', 'one']);
    await until('both are logged', () => sidecar.logs('drift').length >= 2);
    expect(sidecar.logs('drift')).toHaveLength(2);
    expect(sidecar.logs('drift')[0]).toMatchObject({ level: 'warn', found: 'nothing' });
    await sidecar.outcome('applied');
    expect(await sidecar.metric('config_sidecar_generation')).toEqual({ '{target="default"}': 3 });
  });

  test('of a mode is put right', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const sidecar = await place.start({ ...job.variables, UPDATE_FREQUENCY: '300ms' });
    await sidecar.outcome('applied');
    place.spawn('chmod', ['0600', job.config]);
    await until('it was changed and put right', () => sidecar.logs('drift').length === 1);
    await until('the mode is ours', () => (statSync(job.config).mode & 0o7777) === 0o644);
  });

  test('of a directory is put right by a new generation: the link, a visible name, a changed file', async (context) => {
    const place = createPlace(context);
    const { out, variables } = await treeJob(place);
    const sidecar = await place.start(variables);
    await sidecar.outcome('applied');
    const first = readlinkSync(`${out}/..data`);
    rmSync(`${out}/..data`);
    await until('the link is back', () => exists(`${out}/..data`) && place.read('out/one') === '1');
    await published(sidecar, 2);
    rmSync(`${out}/two`);
    await until('the name is back', () => exists(`${out}/two`) && place.read('out/two') === '2');
    await published(sidecar, 3);
    writeFileSync(`${out}/one`, 'evil');
    await until('the content is back', () => place.read('out/one') === '1');
    const last = readlinkSync(`${out}/..data`);
    expect(last).not.toBe(first);
    expect(readdirSync(`${out}/${last}`).sort()).toEqual(['one', 'two']);
    await until('all three were reported', () => sidecar.logs('drift').length === 3);
  });

  test('that put a directory in place of the link is an error, and the directory is not deleted', async (context) => {
    const place = createPlace(context);
    const { out, variables } = await treeJob(place);
    const sidecar = await place.start(variables);
    await sidecar.outcome('applied');
    rmSync(`${out}/..data`);
    mkdirSync(`${out}/..data`);
    writeFileSync(`${out}/..data/precious`, 'theirs');
    expect(await sidecar.outcome('failed')).toMatchObject({
      code: 'publish.foreign',
      message: `Cannot publish "${out}/": "..data" in it was not made by config-sidecar. Move it away, or choose an OUTPUT directory of its own.`,
    });
    expect((await sidecar.get('/readyz')).status).toBe(503);
    expect(place.read('out/..data/precious')).toBe('theirs');
    renameSync(`${out}/..data`, `${out}/moved-away`);
    await until('it recovers', async () => (await sidecar.get('/readyz')).status === 200);
    expect(place.read('out/one')).toBe('1');
    expect(place.read('out/moved-away/precious')).toBe('theirs');
  });
});

describe.concurrent('an output that is larger than MAX_SIZE, as a rendering may be,', () => {
  const values = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`key${n}`, [1, 2, 3, 4]]));
  test.for(['app.yaml', 'folder/'])('is no drift, and is kept for a roll-back: %s', async (name, context) => {
    const place = createPlace(context);
    place.directory('out/folder');
    const [sets, told] = [(version: number) => JSON.stringify({ ...values, version }), place.at('told')];
    const source = place.write('a.json', sets(1));
    const template = place.write('t/a.txt.liquid', '{{ sidecar.data | json: 2 }}');
    const sidecar = await place.start({
      ...{ SOURCE: source, OUTPUT: place.at(`out/${name}`), MAX_SIZE: '5KiB', UPDATE_FREQUENCY: '200ms' },
      ...(name === 'folder/' && { TEMPLATE: dirname(template) }),
      RELOAD_COMMAND: `sh -c "echo >> ${told}"`,
    });
    await sidecar.outcome('applied');
    place.write('a.json', sets(2));
    await until('the change is applied', () => readFileSync(told, 'utf8') === '\n\n');
    await sidecar.outcome('applied');
    const asked = sidecar.logs('published').length;
    // The volume is looked at five times.
    await sleep(1_000);
    expect([sidecar.logs('drift'), asked, readFileSync(told, 'utf8')]).toEqual([[], 2, '\n\n']);
    const { generations } = await sidecar.target();
    expect(generations.map(({ generation }) => generation)).toEqual([2, 1]);
  });
});

describe.concurrent('a volume', () => {
  test('that is missing, then there, then replaced: a clear error, then it works again', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    rmSync(place.at('out'), { recursive: true });
    const sidecar = await place.start({ ...job.variables, UPDATE_FREQUENCY: '300ms' });
    const missing = `Cannot publish "${place.at('out/.config-sidecar')}`;
    const failed = await sidecar.outcome('failed');
    expect(failed.code).toBe('publish.no-directory');
    expect(failed.message).toContain(missing);
    expect((await sidecar.get('/readyz')).status).toBe(503);
    expect((await sidecar.get('/healthz')).status).toBe(200);
    mkdirSync(place.at('out'));
    await sidecar.outcome('applied');
    expect((await sidecar.get('/readyz')).status).toBe(200);
    rmSync(place.at('out'), { recursive: true });
    mkdirSync(place.at('out'));
    await until('it is written again', () => existsSync(job.config));
    job.set('two');
    await until('changes arrive', () => publishedValue(place.read('out/app.json')) === 'two');
    expect(existsSync(place.at('out/.config-sidecar/app.json/ledger.1.json'))).toBe(true);
  });

  test('where the output is a directory, or its directory a file, gives an error of its own', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    mkdirSync(job.config);
    const first = await place.run(['once'], job.variables);
    expect(first.code).toBe(2);
    expect(first.stderr).toContain(`Cannot use OUTPUT "${job.config}"`);
    place.write('plain', 'a file');
    const second = await place.run(['once'], { ...job.variables, OUTPUT: place.at('plain/app.json') });
    expect(second.code).toBe(5);
    expect(second.stdout).toContain('publish.not-a-directory');
    const third = await place.run(['once'], {
      ...job.variables,
      OUTPUT: `${place.at('plain')}/`,
      TEMPLATE: place.directory('t'),
    });
    expect(third.code).toBe(5);
  });

  test('gets exact modes whatever the umask, keeps what is foreign, and has a symbolic link replaced', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    place.write('out/.hidden', 'foreign');
    place.write('out/app.json.bak', 'foreign');
    place.write('elsewhere', 'must stay');
    symlinkSync(place.at('elsewhere'), job.config);
    const umask = { node: 'bash', nodeWords: ['-c', 'umask 0077; exec "$0" "$@"', process.execPath] };
    const sidecar = await place.start({ ...job.variables, OUTPUT_MODE: '0640' }, umask);
    await sidecar.outcome('applied');
    expect(lstatSync(job.config).isFile()).toBe(true);
    expect((lstatSync(job.config).mode & 0o7777).toString(8)).toBe('640');
    expect(place.read('elsewhere')).toBe('must stay');
    job.set('two');
    await until('the change is there', () => publishedValue(place.read('out/app.json')) === 'two');
    expect(readdirSync(place.at('out')).sort()).toEqual([
      '.config-sidecar',
      '.hidden',
      'app.json',
      'app.json.bak',
    ]);
    expect([place.read('out/.hidden'), place.read('out/app.json.bak')]).toEqual(['foreign', 'foreign']);
  });

  test('decides readiness: not ready before a configuration is on it, and again when that vanishes', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    rmSync(place.at('source.json'));
    const sidecar = await place.start({ ...job.variables, UPDATE_FREQUENCY: '2s' });
    await until('it says why', async () => {
      const { status, body } = await sidecar.get('/readyz');
      return status === 503 && body.startsWith('not ready\ndefault: Cannot read');
    });
    job.set('one');
    await sidecar.outcome('applied');
    expect(await sidecar.get('/readyz')).toEqual({ status: 200, body: 'ready\n' });
    rmSync(job.config);
    expect((await sidecar.get('/readyz')).status).toBe(503);
    await until('it is back', async () => (await sidecar.get('/readyz')).status === 200);
  });
});

describe.concurrent('a check', () => {
  test('that refuses leaves target and application alone, shows what it printed, and is repeated', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const app = await place.app({ config: job.config });
    const check = place.write(
      'check.sh',
      'test -f allowed-two && exit 0; grep -q two "$1" && echo "no two today: $1" && exit 3; echo "scribble" >> "$1"; exit 0\n',
    );
    const validate = { VALIDATE_COMMAND: `sh ${check} {path}` };
    const sidecar = await place.start({ ...job.variables, ...validate, APP_PROCESS: place.name });
    await until('it is notified of the first', () => app.told().length === 1);
    const { ino } = statSync(job.config);
    job.set('two');
    const rejected = await sidecar.outcome('rejected');
    expect(rejected.reloadOwed).toBe(false);
    expect(rejected.message).toMatch(/^Cannot accept .*exited with 3/);
    const [line] = sidecar.logs('rejected');
    expect(line).toMatchObject({
      level: 'error',
      printed: expect.stringMatching(/^no two today: .*\/app\.json\n$/),
    });
    expect(statSync(job.config).ino).toBe(ino);
    expect(place.read('out/app.json')).toBe('{"value":"one"}\n');
    await until('no copy is left between two checks', () => {
      return readdirSync(place.at('out/.config-sidecar/app.json')).every(
        (name) => !name.startsWith('check-'),
      );
    });
    place.write('allowed-two', '');
    await until('it is tried again and notified', () => app.told().length === 2);
    expect(app.told().map(publishedValue)).toEqual(['one', 'two']);
    expect(place.read('out/app.json')).toBe('{"value":"two"}\n');
  });

  test('of the schema names every violation and keeps the old configuration', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const schema = place.write(
      'schema.json',
      '{"type":"object","properties":{"value":{"type":"string"}},"required":["value"]}',
    );
    const sidecar = await place.start({ ...job.variables, SCHEMA: schema });
    await sidecar.outcome('applied');
    job.set(2);
    const { message } = await sidecar.outcome('rejected');
    expect(message).toContain(`it violates the schema "${schema}"`);
    expect(message).toContain('/value');
    expect(place.read('out/app.json')).toBe('{"value":"one"}\n');
    job.set('three');
    await sidecar.outcome('applied');
  });

  test('of a template: a missing variable refuses with template, line and name; mending the template publishes', async (context) => {
    const place = createPlace(context);
    const job = fileJob(place);
    const template = place.write('app.conf.liquid', 'value {{ value }}\n');
    const output = { OUTPUT: place.at('out/app.conf'), TEMPLATE: template };
    const sidecar = await place.start({ ...job.variables, ...output });
    await sidecar.outcome('applied');
    place.write('app.conf.liquid', 'value {{ value }}\nport {{ port }}\n');
    const { message } = await sidecar.outcome('rejected');
    expect(message).toContain('app.conf.liquid');
    expect(message).toContain('line 2');
    expect(message).toContain('port');
    expect(place.read('out/app.conf')).toBe('value one\n');
    place.write('app.conf.liquid', 'value {{ value }}\nport {{ port | default: 80 }}\n');
    await sidecar.outcome('applied');
    expect(place.read('out/app.conf')).toBe('value one\nport 80\n');
  });
});

test('of two files of which one does not parse, neither is swapped', async (context) => {
  const place = createPlace(context);
  const source = fileTree(place);
  await source.set({ 'a.json': '{"v":1}', 'b.json': '{"v":1}' });
  const sidecar = await place.start({ ...source.variables, OUTPUT: `${place.directory('out')}/` });
  await sidecar.outcome('applied');
  const before = readlinkSync(place.at('out/..data'));
  await source.set({ 'a.json': '{"v":2}', 'b.json': '{"v":' });
  expect((await sidecar.outcome('rejected')).code).toBe('guard.parse');
  expect(readlinkSync(place.at('out/..data'))).toBe(before);
  expect(place.read('out/a.json')).toBe('{"v":1}');
});
