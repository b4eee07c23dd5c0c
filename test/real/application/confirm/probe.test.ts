// CONFIRM_URL against real servers: how often, how long, what counts, and what is said when it does not.
import { performance } from 'node:perf_hooks';
import { describe, expect, test } from 'vitest';
import { isLiving } from '../../../../src/application/process/liveness.ts';
import { SidecarError } from '../../../../src/lib/errors.ts';
import {
  type Answer,
  atAge,
  confirmation,
  never,
  nowhere,
  serve,
  trialOf,
  VERSION,
  verdictOn,
} from '../../../support/application/confirm/trials.ts';
import { createStage, until } from '../../../support/application/process/apart.ts';

const hangs: Answer = () => {};

describe('the URL', () => {
  test('has to answer 2xx as often as asked, in a row', async () => {
    const { url, count } = await serve(503, 200, 500, 204, 200, 299);
    const { result, atMs } = await verdictOn(confirmation({ url: () => url, successes: 3 }), trialOf(null));
    expect(result).toEqual({ kind: 'confirmed', evidence: ['probed'] });
    expect(count()).toBe(6);
    expect(atMs).toBe(5 * 250);
  });

  test('is asked less often the longer it fails, and only between the given times', async () => {
    const { url, count } = await serve(503);
    const one = confirmation({ url: () => url, timeoutMs: 5_000 });
    const trial = trialOf(null);
    const ages: number[] = [];
    for (let ms = 0; ; ms += 10) {
      const before = count();
      const result = await one.look(trial, VERSION, atAge(trial, ms), never());
      if (count() > before) ages.push(ms);
      if (result.kind !== 'pending') break;
    }
    expect(ages).toEqual([0, 250, 750, 1_750, 2_750, 3_750, 4_750]);
  });

  test('is not asked during the period: the configuration of before may still answer', async (context) => {
    const { url, count } = await serve(200);
    const trial = trialOf(createStage(context).start(['sleep', '600']));
    const one = confirmation({ url: () => url });
    for (const ms of [0, 1_000, 2_990]) {
      expect(await one.look(trial, VERSION, atAge(trial, ms), never())).toMatchObject({ kind: 'pending' });
    }
    expect(count()).toBe(0);
    const { result, atMs } = await verdictOn(one, trial, { startMs: 3_000 });
    expect(result).toEqual({ kind: 'confirmed', evidence: ['alive', 'probed'] });
    expect(atMs).toBe(3_250);
    expect(count()).toBe(2);
  });

  test('restarts for another trial', async () => {
    const { url, count } = await serve(200);
    const one = confirmation({ url: () => url });
    const first = trialOf(null, { at: 1_000 });
    const second = trialOf(null, { at: 2_000 });
    for (const trial of [first, second]) {
      expect(await one.look(trial, VERSION, atAge(trial, 0), never())).toEqual({
        kind: 'pending',
        inMs: 100,
      });
    }
    expect((await verdictOn(one, second)).result).toEqual({ kind: 'confirmed', evidence: ['probed'] });
    expect(count()).toBe(3);
  });

  test.each([301, 404, 500])('that answers %d says so, with its text apart', async (status) => {
    const { url } = await serve((_request, response) =>
      response.writeHead(status, { location: '/elsewhere' }).end('broken '.repeat(100)),
    );
    const { result } = await verdictOn(confirmation({ url: () => url }), trialOf(null));
    expect(result).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.status',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): "${url}" answered ${status}${status === 301 ? ` (Location: "${new URL('/elsewhere', url).href}")` : ''}`,
      output: 'broken '.repeat(100).slice(0, 200),
    });
  });

  test('at which nothing listens says so, without its credentials', async () => {
    const url = await nowhere();
    const secret = url.replace('//', '//user:hunter2@');
    const { result } = await verdictOn(confirmation({ url: () => secret }), trialOf(null));
    expect(result).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.no-answer',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): "${url}" was not answered: connection refused`,
    });
  });

  test('that hangs delays nothing beyond the time that is left', async () => {
    const { url } = await serve(hangs);
    const one = confirmation({ url: () => url, timeoutMs: 300 });
    const startedAt = performance.now();
    const { result } = await verdictOn(one, trialOf(null));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(result).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.no-answer',
      message: `Cannot confirm revision "7" within 300ms (CONFIRM_TIMEOUT): "${url}" was not answered: not finished within 300 ms`,
    });
  });

  test('that answers without an end is read no further than 4 MiB', async () => {
    const endless: Answer = (_request, response) => {
      response.write(`first\n${'x'.repeat(4 * 1024 * 1024)}`);
      const more = (): void => {
        while (response.write('late'.repeat(16_384)));
      };
      response.on('drain', more);
      more();
    };
    const { url } = await serve(endless);
    const early = confirmation({ url: () => url, successes: 1, match: { text: '^first$' } });
    expect((await verdictOn(early, trialOf(null))).result).toMatchObject({ kind: 'confirmed' });
    const late = confirmation({ url: () => url, timeoutMs: 1_400, match: { text: 'late' } });
    const trial = trialOf(null);
    expect((await late.look(trial, VERSION, atAge(trial, 0), never())).kind).toBe('pending');
    const result = await late.look(trial, VERSION, atAge(trial, 1_410), never());
    expect(result).toMatchObject({ code: 'confirm.no-match' });
    expect(result).toMatchObject({ message: expect.stringMatching(/ in the part of it that was read$/) });
  });

  test('that can be read no more, being a secret in a file, is a try that failed', async () => {
    const { url } = await serve(200);
    let reads = 0;
    const one = confirmation({
      url: () => {
        reads += 1;
        if (reads > 1) return url;
        throw new SidecarError('Cannot use CONFIRM_URL_FILE "/run/url": it is empty', {
          code: 'settings.secret',
          stage: 'settings',
        });
      },
    });
    expect((await verdictOn(one, trialOf(null))).result).toMatchObject({ kind: 'confirmed' });
    expect(reads).toBe(3);
  });

  test('that has answered too seldom says how often', async () => {
    const { url } = await serve(200);
    const { result } = await verdictOn(
      confirmation({ url: () => url, successes: 9, timeoutMs: 1_000 }),
      trialOf(null),
    );
    expect(result).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.too-few',
      message:
        'Cannot confirm revision "7" within 1s (CONFIRM_TIMEOUT): CONFIRM_URL answered as expected only 4 of 9 times in a row',
    });
  });

  test('is asked once, however late, before a missing answer counts', async () => {
    const { url, count } = await serve(200);
    const trial = trialOf(null);
    const one = confirmation({ url: () => url, successes: 1 });
    expect(await one.look(trial, VERSION, atAge(trial, 3_600_000), never())).toMatchObject({
      kind: 'confirmed',
    });
    expect(count()).toBe(1);
  });
});

describe('an answer that is not as wanted', () => {
  test('names the expression in the message, and shows the text apart', async () => {
    const { url } = await serve('revision="6" and more');
    const match = { text: 'revision="{revision}"' };
    const { result, atMs } = await verdictOn(confirmation({ url: () => url, match }), trialOf(null));
    expect(result).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.no-match',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): "${url}" answered 200, but the answer does not match CONFIRM_MATCH "revision="{revision}""`,
      output: 'revision="6" and more',
    });
    expect(atMs).toBe(30_000);
  });

  test('is the success of a reload before this one, until a newer one is reported', async () => {
    const trial = trialOf(null, { at: 1_700_000_200_500, notBefore: 1_700_000_200_000 });
    const before = 'success 1\ntimestamp 1.70000019e+09\n';
    const { url } = await serve(before, before, 'success 1\ntimestamp 1.7000002003e+09\n');
    const match = { text: '^success 1\\s+timestamp (?<time>\\S+)$' };
    const { result, atMs } = await verdictOn(confirmation({ url: () => url, match }), trial);
    expect(result).toEqual({ kind: 'confirmed', evidence: ['probed'] });
    expect(atMs).toBe(1_000);
    const { url: stale } = await serve(before);
    const { result: failed } = await verdictOn(confirmation({ url: () => stale, match }), trial);
    expect(failed).toMatchObject({
      code: 'confirm.too-old',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): "${stale}" answered 200, but the reload time it reports is 10.0 s before the reload`,
    });
  });

  test('is reported together with the workers that are missing', async (context) => {
    const { url } = await serve('not yet');
    const id = createStage(context).start(['sleep', '600']);
    const one = confirmation({ url: () => url, workers: true, match: { text: 'ready' } });
    expect((await verdictOn(one, trialOf(id))).result).toEqual({
      kind: 'unconfirmed',
      code: 'confirm.no-workers',
      message: `Cannot confirm revision "7" within 30s (CONFIRM_TIMEOUT): process ${id.pid} has no new children, so its workers still run the configuration of before; and "${url}" answered 200, but the answer does not match CONFIRM_MATCH "ready"`,
      output: 'not yet',
    });
  });
});

describe('a good answer', () => {
  test('proves nothing of a process that died while it was given', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id);
    const { url } = await serve(async (_request, response) => {
      process.kill(id.pid, 'SIGKILL');
      await until('it is gone', () => !isLiving(id));
      response.end();
    });
    const one = confirmation({ url: () => url, successes: 1 });
    expect(await one.look(trial, VERSION, atAge(trial, 3_000), never())).toEqual({
      kind: 'pending',
      inMs: 1,
    });
    expect(await one.look(trial, VERSION, atAge(trial, 3_010, null), never())).toMatchObject({
      kind: 'died',
    });
  });
});

describe('a request that hangs', () => {
  test('ends with the process it was about, whose death is then reported', async (context) => {
    const id = createStage(context).start(['sleep', '600']);
    const trial = trialOf(id);
    const { url, count } = await serve(hangs);
    const one = confirmation({ url: () => url });
    const startedAt = performance.now();
    const looking = one.look(trial, VERSION, atAge(trial, 3_000), never());
    await until('it was asked', () => count() === 1);
    process.kill(id.pid, 'SIGKILL');
    await until('it is gone', () => !isLiving(id));
    expect(await looking).toEqual({ kind: 'pending', inMs: 1 });
    expect(performance.now() - startedAt).toBeLessThan(4_500);
    expect(await one.look(trial, VERSION, atAge(trial, 3_200, null), never())).toMatchObject({
      kind: 'died',
    });
  });

  test('ends when we are to stop, and proves nothing', async () => {
    const trial = trialOf(null);
    const { url, count } = await serve(hangs);
    const stopping = new AbortController();
    const one = confirmation({ url: () => url });
    const looking = one.look(trial, VERSION, atAge(trial, 0), stopping.signal);
    await until('it was asked', () => count() === 1);
    const startedAt = performance.now();
    stopping.abort();
    expect(await looking).toEqual({ kind: 'pending', inMs: 1 });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(await one.look(trial, VERSION, atAge(trial, 0), stopping.signal)).toEqual({
      kind: 'pending',
      inMs: 1,
    });
    expect(count()).toBe(1);
  });
});
