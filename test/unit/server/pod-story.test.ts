// Which Events and which condition follow from outcomes.
import { expect, it } from 'vitest';
import type { Outcome, Report } from '../../../src/reconcile/journal.ts';
import { PodStory } from '../../../src/server/pod-story.ts';

function report(outcome: Outcome, code: string | null = null, at = 1): Report {
  const attempted = { revision: '1', digest: 'd', rendering: 'r', at };
  return { outcome, code, message: `It is ${outcome}.`, output: null, stage: null, attempted, at, count: 1 };
}

const reasons = (story: PodStory, ...reports: readonly Report[]): readonly string[] =>
  reports.flatMap((one) => story.report('default', one)).map(({ type, reason }) => `${type} ${reason}`);

it('says nothing of success, and nothing before the first outcome', () => {
  const story = new PodStory(false);
  expect(story.condition()).toBeNull();
  expect(reasons(story, report('applied'), report('unchanged'), report('picked-up'))).toEqual([]);
  expect(story.condition()).toEqual({
    status: 'True',
    reason: 'ConfigPickedUp',
    message: 'It is picked-up.',
  });
});

it('says each trouble once, and once that it is over', () => {
  const story = new PodStory(false);
  const trouble = [report('rejected', 'guard.parse'), report('rolled-back', 'confirm.url')];
  expect(reasons(story, ...trouble, ...trouble)).toEqual([
    'Warning ConfigRejected',
    'Warning ConfigRolledBack',
  ]);
  expect(story.condition()).toMatchObject({ status: 'False', reason: 'ConfigRolledBack' });
  expect(reasons(story, report('applied'), report('applied'))).toEqual(['Normal ConfigRecovered']);
  expect(reasons(story, report('rejected', 'guard.parse'))).toEqual(['Warning ConfigRejected']);
});

it('says another reason of the same outcome', () => {
  expect(
    reasons(new PodStory(false), report('rejected', 'guard.parse'), report('rejected', 'guard.schema')),
  ).toHaveLength(2);
});

it('keeps quiet about what is waited for, or was asked for by hand', () => {
  const story = new PodStory(false);
  expect(reasons(story, report('no-target'), report('held-back'), report('pinned'))).toEqual([]);
  expect(story.condition()).toMatchObject({ status: 'True', reason: 'ConfigPinned' });
  expect(reasons(story, report('no-target'))).toEqual([]);
  expect(story.condition()).toMatchObject({ status: 'False', reason: 'ConfigNoTarget' });
});

it('says that trouble of an earlier process is over', () => {
  expect(reasons(new PodStory(true), report('unchanged'), report('applied'))).toEqual([
    'Normal ConfigRecovered',
  ]);
});

it('gives the same trouble the same key in another process, and another one when it comes again', () => {
  const key = (story: PodStory, one: Report): string | undefined => story.report('web', one)[0]?.key;
  const rejected = report('rejected', 'guard.parse');
  expect(key(new PodStory(false), rejected)).toBe(key(new PodStory(true), { ...rejected, at: 9 }));
  const story = new PodStory(false);
  const first = key(story, rejected);
  story.report('web', report('applied'));
  expect(key(story, { ...rejected, at: 9 })).not.toBe(first);
});

it('is about the target that needs a person, by its name', () => {
  const story = new PodStory(false);
  story.report('web', report('applied'));
  expect(story.report('dns', report('failed'))).toMatchObject([{ message: 'dns: It is failed.' }]);
  expect(story.condition()).toMatchObject({ status: 'False', message: 'dns: It is failed.' });
  story.forget('dns');
  expect(story.condition()).toMatchObject({ status: 'True', message: 'web: It is applied.' });
});
