// Every kind of source. A new one is its file in `providers/` and one line here.
import { consul } from '../../providers/consul.ts';
import { etcd } from '../../providers/etcd.ts';
import { file } from '../../providers/file.ts';
import { git } from '../../providers/git.ts';
import { http } from '../../providers/http.ts';
import { kubernetes } from '../../providers/kubernetes.ts';
import type { SourceKind } from '../source/provider.ts';

const LIST = [file, http, etcd, consul, git, kubernetes] as const;

/** In the order of the reference. */
export const SOURCE_KINDS: readonly SourceKind[] = LIST;

type NamesOf<K> = K extends { readonly settings: infer S } ? keyof S : never;

/** The name of a setting that belongs to one kind of source. */
export type SourceSettingName = NamesOf<(typeof LIST)[number]>;
