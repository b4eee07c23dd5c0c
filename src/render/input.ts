// What is to be rendered: the newest snapshot with the newest templates, and one digest over both.
import { sha256 } from '../lib/sha256.ts';
import type { TargetSnapshot } from '../source/provider.ts';
import { digestOf } from './data.ts';

export interface Input {
  /** Digest of data, templates and what else decides the rendering. The source's revision is no part of it. */
  readonly id: string;
  readonly snapshot: TargetSnapshot;
  /** Digest of the data alone. */
  readonly digest: string;
  readonly templates: TargetSnapshot | null;
}

/**
 * Puts an input together; null while a part is missing. Two snapshots with the same data give the same `id`.
 * @param extra whatever else goes into the rendering: format, modes, the environment templates may read.
 */
export function inputOf(
  snapshot: TargetSnapshot | null,
  templates: TargetSnapshot | null,
  { hasTemplates, extra }: { readonly hasTemplates: boolean; readonly extra: string },
): Input | null {
  if (snapshot === null || (hasTemplates && templates === null)) return null;
  const digest = digestOf(snapshot.content);
  const parts = [digest, templates === null ? '' : digestOf(templates.content), extra];
  const id = sha256(JSON.stringify(parts));
  return { id, snapshot, digest, templates };
}
