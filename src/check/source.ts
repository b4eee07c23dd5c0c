// Asks the source once, as the sidecar would.
import { toSidecarError } from '../lib/errors.ts';
import { providerOptions } from '../reconcile/keep.ts';
import { sourceOf } from '../settings/secrets.ts';
import type { OpenProvider, Snapshot } from '../source/provider.ts';
import { readOnce } from '../source/read-once.ts';
import { type Finding, failure, ok, type Subject } from './finding.ts';

export interface SourceCheck {
  readonly findings: readonly Finding[];
  /** What was read, null when that failed; and the source as it may be shown. */
  readonly snapshot: Snapshot | null;
  readonly shown: string;
}

export async function checkSource(
  { loaded, env, signal }: Subject,
  open: OpenProvider,
): Promise<SourceCheck> {
  let shown = '';
  try {
    const provider = open(providerOptions(loaded, env));
    shown = provider.source;
    const snapshot = await readOnce(provider, loaded.settings.FETCH_TIMEOUT, signal);
    return { findings: [ok('source', 'source.readable', describe(shown, snapshot))], snapshot, shown };
  } catch (thrown) {
    const { code } = toSidecarError(thrown, 'source');
    const finding = failure('source', thrown, adviceFor(loaded, code));
    return { findings: [finding], snapshot: null, shown };
  }
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

function adviceFor(loaded: Subject['loaded'], code: string): string {
  if (code.startsWith('settings')) return 'Correct what it names.';
  return (
    sourceOf(loaded).kind.advice[code] ??
    ADVICE[code] ??
    'See what the store itself logs; the old configuration stays meanwhile.'
  );
}

const UNREACHABLE =
  'Check that it runs, that host and port in SOURCE are right, and that nothing between (name service, network policy, firewall) is in the way.';

/** What to do about an error that all kinds of source have in common. */
const ADVICE: Readonly<Record<string, string>> = {
  'source.unreachable': UNREACHABLE,
  'source.disconnected': UNREACHABLE,
  'source.timeout': `${UNREACHABLE} If it is only slow, raise FETCH_TIMEOUT.`,
  'source.tls':
    'Check the scheme of SOURCE (with or without TLS), the authorities it is checked against (…_CACERT), and the client certificate.',
  'source.proxy': 'Check the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.',
  'source.not-found': 'Check the path in SOURCE, or put the configuration there.',
  'source.too-large': 'Make it smaller, name a smaller part of it in SOURCE, or raise MAX_SIZE.',
  'source.wrong-type': 'Check the path in SOURCE: the URL returned an HTML page.',
  'source.redirected': 'Name the final URL in SOURCE.',
  'source.no-leader': 'The cluster has no leader: start the missing members.',
  'source.unstable': 'It is being written all the time: replace it by a rename instead of writing into it.',
};
