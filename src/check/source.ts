// Asks the source once, as the sidecar would.
import { toSidecarError } from '../lib/errors.ts';
import { providerOptions } from '../reconcile/keep.ts';
import { sourceOf } from '../settings/secrets.ts';
import { type SourceScheme, schemeOf } from '../settings/source.ts';
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
    const provider = open(sourceOf(loaded), providerOptions(loaded, env));
    shown = provider.source;
    const snapshot = await readOnce(provider, loaded.settings.FETCH_TIMEOUT, signal);
    return { findings: [ok('source', 'source.readable', describe(shown, snapshot))], snapshot, shown };
  } catch (thrown) {
    const { code } = toSidecarError(thrown, 'source');
    const finding = failure('source', thrown, advice(code, schemeOf(sourceOfOrEmpty(loaded))));
    return { findings: [finding], snapshot: null, shown };
  }
}

/** The URL may lie in a file that cannot be read, which is what went wrong then. */
function sourceOfOrEmpty(loaded: Subject['loaded']): string {
  try {
    return sourceOf(loaded);
  } catch {
    return '';
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

const CREDENTIALS: Readonly<Record<SourceScheme, string>> = {
  file: `Let user ${process.getuid?.() ?? 'of the sidecar'} read it: change its mode or owner, or runAsUser of the sidecar`,
  http: 'Check HTTP_TOKEN, or HTTP_USERNAME and HTTP_PASSWORD, or HTTP_HEADERS, and what they may read',
  https: 'Check HTTP_TOKEN, or HTTP_USERNAME and HTTP_PASSWORD, or HTTP_HEADERS, and what they may read',
  etcd: 'Check ETCDCTL_USER and ETCDCTL_PASSWORD, and that the role of that user may read this key or prefix',
  etcds:
    'Check ETCDCTL_USER and ETCDCTL_PASSWORD, and that the role of that user may read this key or prefix',
  consul: 'Check CONSUL_HTTP_TOKEN, and that its policy may read (key_prefix … read) and list this key',
  consuls: 'Check CONSUL_HTTP_TOKEN, and that its policy may read (key_prefix … read) and list this key',
};

function advice(code: string, scheme: SourceScheme): string {
  if (code.endsWith('.denied')) return `${CREDENTIALS[scheme]}.`;
  if (code.startsWith('settings')) return 'Correct what it names.';
  const [, what = ''] = code.split('.');
  return ADVICE[what] ?? 'See what the store itself logs; the old configuration stays meanwhile.';
}

const UNREACHABLE =
  'Check that it runs, that host and port in SOURCE are right, and that nothing between (name service, network policy, firewall) is in the way.';

const ADVICE: Readonly<Record<string, string>> = {
  unreachable: UNREACHABLE,
  disconnected: UNREACHABLE,
  timeout: `${UNREACHABLE} If it is only slow, raise FETCH_TIMEOUT.`,
  tls: 'Check the scheme of SOURCE (with or without TLS), the authorities it is checked against (…_CACERT), and the client certificate.',
  proxy: 'Check the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.',
  'not-found': 'Check the path in SOURCE, or put the configuration there.',
  'too-large': 'Make it smaller, name a smaller part of it in SOURCE, or raise MAX_SIZE.',
  'wrong-type': 'Check the path in SOURCE: a page for people answers there.',
  redirected: 'Name the final URL in SOURCE.',
  'no-leader': 'The cluster has no leader: start the missing members.',
  unstable: 'It is being written all the time: replace it by a rename instead of writing into it.',
};
