// Asks each source once, as the sidecar would.
import { toSidecarError } from '../lib/errors.ts';
import { providerOptions } from '../settings/provider-options.ts';
import { sourceOf } from '../settings/secrets.ts';
import { mergeSnapshots } from '../source/merge.ts';
import type { OpenProvider, Provider, ProviderGroup, Snapshot, TargetSnapshot } from '../source/provider.ts';
import { readProvider } from '../source/read-once.ts';
import { type CheckContext, type Finding, failure, ok } from './finding.ts';

export interface SourceCheck {
  /** One for each source. */
  readonly findings: readonly Finding[];
  /** What was read of all of them; null when one of them could not be read. */
  readonly snapshot: TargetSnapshot | null;
  /** The sources as they may be shown. */
  readonly shown: string;
}

export async function checkSource(context: CheckContext, open: OpenProvider): Promise<SourceCheck> {
  const { loaded, env } = context;
  try {
    const source = open(providerOptions(loaded, env));
    if ('parts' in source) return await checkGroup(context, source);
    const { finding, snapshot } = await checkOne(context, source, 0);
    return { findings: [finding], snapshot, shown: source.source };
  } catch (thrown) {
    return { findings: [failed(loaded, thrown, 0)], snapshot: null, shown: '' };
  }
}

async function checkGroup(
  context: CheckContext,
  { parts, source: shown }: ProviderGroup,
): Promise<SourceCheck> {
  const read = await Promise.all(parts.map(({ provider }, at) => checkOne(context, provider, at)));
  const snapshots = read.flatMap(({ snapshot }) => (snapshot === null ? [] : [snapshot]));
  return {
    findings: read.map(({ finding }) => finding),
    snapshot: snapshots.length < parts.length ? null : mergeSnapshots(parts, snapshots),
    shown,
  };
}

interface OneRead {
  readonly finding: Finding;
  readonly snapshot: Snapshot | null;
}

/** @param at its place in SOURCE. */
async function checkOne({ loaded, signal }: CheckContext, provider: Provider, at: number): Promise<OneRead> {
  try {
    const snapshot = await readProvider(provider, loaded.settings.FETCH_TIMEOUT, signal);
    return { finding: ok('source', 'source.readable', describe(provider.source, snapshot)), snapshot };
  } catch (thrown) {
    return { finding: failed(loaded, thrown, at), snapshot: null };
  }
}

function failed(loaded: CheckContext['loaded'], thrown: unknown, at: number): Finding {
  const { code } = toSidecarError(thrown, 'source');
  return failure('source', thrown, adviceFor(loaded, code, at));
}

function describe(source: string, { content, revision }: Snapshot): string {
  if (content.kind === 'nothing') return `"${source}" was read, and says that there is nothing.`;
  const at = revision === '' ? '' : `, revision ${revision}`;
  if (content.kind === 'document')
    return `"${source}" was read: a document of ${content.bytes.length} bytes${at}.`;
  const bytes = content.entries.reduce((sum, { value }) => sum + value.length, 0);
  const keys = content.entries.length === 1 ? '1 key' : `${content.entries.length} keys`;
  return `"${source}" was read: ${keys} with ${bytes} bytes${at}.`;
}

function adviceFor(loaded: CheckContext['loaded'], code: string, at: number): string {
  if (code.startsWith('settings')) return 'Correct what it names.';
  return (
    sourceOf(loaded).entries[at]?.url.kind.advice[code] ??
    ADVICE[code] ??
    'See what the store itself logs; the old configuration stays meanwhile.'
  );
}

const UNREACHABLE =
  'Check that it runs, that host and port in SOURCE are right, and that DNS, network policies and firewalls let the sidecar reach it.';

/** What to do about an error that all kinds of source have in common. */
const ADVICE: Readonly<Record<string, string>> = {
  'source.unreachable': UNREACHABLE,
  'source.disconnected': UNREACHABLE,
  'source.timeout': `${UNREACHABLE} If it is only slow, raise FETCH_TIMEOUT.`,
  'source.tls':
    'Check the scheme of SOURCE (with or without TLS), the authorities it is checked against (…_CACERT), and the client certificate.',
  'source.proxy': 'Check the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.',
  'source.not-found': 'Check the path in SOURCE, or put the configuration there.',
  'source.too-large':
    'Make it smaller, or name a smaller part of it in SOURCE. Raise MAX_SIZE only together with the memory limit.',
  'source.wrong-type': 'Check the path in SOURCE: the URL returned an HTML page.',
  'source.redirected': 'Name the final URL in SOURCE.',
  'source.no-leader': 'The cluster has no leader: start the missing members.',
  'source.unstable': 'It is being written all the time: replace it by a rename instead of writing into it.',
};
