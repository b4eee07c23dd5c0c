// The names in a directory output, which is laid out like a mounted ConfigMap: `..data` leads to one complete generation, and
// the visible names lead through it.

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { SidecarError } from '../lib/errors.ts';
import type { Sliced } from '../lib/slices.ts';
import type { DirectoryHandle } from './directory-handle.ts';
import { listing, unlinkIfPossible } from './remove-tree.ts';

export const DATA = '..data';
const GENERATION = /^\.\.gen-[0-9a-f]{12}$/;
const LEFT_OVER = /^\.\.(stage|link)-[0-9a-f]{12}$/;

/** A name of its own, never the same twice. */
export function newName(kind: 'gen' | 'stage' | 'link'): string {
  return `..${kind}-${randomBytes(6).toString('hex')}`;
}

export function isGeneration(name: string): boolean {
  return GENERATION.test(name);
}

/** Whether a name is one that only a crash leaves. */
export function isLeftOver(name: string): boolean {
  return LEFT_OVER.test(name);
}

/** Where a link leads; undefined when there is none. */
function linkAt(root: DirectoryHandle, name: string): string | undefined {
  try {
    return fs.readlinkSync(`${root.path}/${name}`);
  } catch {
    return undefined;
  }
}

/** The generation that is visible; undefined when there is none, or `..data` leads elsewhere. */
export function currentGeneration(root: DirectoryHandle): string | undefined {
  const name = linkAt(root, DATA);
  return name !== undefined && isGeneration(name) ? name : undefined;
}

/** The names a reader sees: the first part of every path. */
export function visibleNames(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.split('/', 1)[0] ?? name));
}

/** A link made beside its name and renamed over it: there is no moment without one. */
export function putLink(root: DirectoryHandle, target: string, name: string): void {
  const link = newName('link');
  fs.symlinkSync(target, `${root.path}/${link}`);
  try {
    fs.renameSync(`${root.path}/${link}`, `${root.path}/${name}`);
  } catch (error) {
    unlinkIfPossible(root, link);
    throw error;
  }
}

/** Adds, then removes, so that no name which stays is ever missing. Only links into `..data` are ours. */
export function* mendingNames(root: DirectoryHandle, wanted: ReadonlySet<string>): Sliced<void> {
  for (const name of wanted) {
    if (linkAt(root, name) !== `${DATA}/${name}`) putLink(root, `${DATA}/${name}`, name);
    yield;
  }
  for (const name of yield* findingOurNames(root)) {
    if (!wanted.has(name)) fs.rmSync(`${root.path}/${name}`, { force: true });
  }
}

/** Whether the visible names are those that are wanted, and lead where they should. */
export function* checkingNames(root: DirectoryHandle, wanted: ReadonlySet<string>): Sliced<boolean> {
  const there = yield* findingOurNames(root);
  if (there.length !== wanted.size) return false;
  for (const name of there) {
    if (!wanted.has(name) || linkAt(root, name) !== `${DATA}/${name}`) return false;
    yield;
  }
  return true;
}

function* findingOurNames(root: DirectoryHandle): Sliced<readonly string[]> {
  const ours: string[] = [];
  for (const name of yield* listing(root)) {
    if (!name.startsWith('..') && linkAt(root, name)?.startsWith(`${DATA}/`)) ours.push(name);
    yield;
  }
  return ours;
}

/**
 * @param shown the directory as messages name it.
 * @throws SidecarError `publish.foreign` when a needed name, or `..data`, is something we did not make.
 */
export function* refusingForeign(
  root: DirectoryHandle,
  shown: string,
  names: ReadonlySet<string>,
): Sliced<void> {
  const foreign: string[] = [];
  for (const name of names) {
    if (isThere(root, name) && !linkAt(root, name)?.startsWith(`${DATA}/`)) foreign.push(name);
    yield;
  }
  if (isThere(root, DATA) && currentGeneration(root) === undefined) foreign.unshift(DATA);
  if (foreign.length === 0) return;
  throw new SidecarError(
    `Cannot publish "${shown}/": ${foreign.map((name) => `"${name}"`).join(', ')} in it was not made by config-sidecar. ` +
      'Move it away, or choose an OUTPUT directory of its own.',
    { code: 'publish.foreign', stage: 'publish' },
  );
}

function isThere(root: DirectoryHandle, name: string): boolean {
  return fs.lstatSync(`${root.path}/${name}`, { throwIfNoEntry: false }) !== undefined;
}
