// etcd: a key, or all keys below a prefix, read at one revision and watched from the next.

import { ETCD_TLS, parseEtcdUrl } from '../src/source/etcd/url.ts';
import type { SourceKind, SourceUrl } from '../src/source/provider.ts';
import { tlsMistakes } from '../src/source/tls-files.ts';

export const etcd = {
  name: 'etcd',
  schemes: ['etcd', 'etcds'],
  form: '`etcd(s)://host:2379/key`',
  settings: {
    ETCDCTL_USER: { kind: 'text', meaning: 'user of etcd, or `user:password`', secret: 'user' },
    ETCDCTL_PASSWORD: { kind: 'text', meaning: 'password of etcd', secret: 'whole' },
    ETCDCTL_CACERT: { kind: 'path', meaning: 'certificate authorities etcd is checked against (PEM)' },
    ETCDCTL_CERT: { kind: 'path', meaning: 'client certificate for etcd (PEM)' },
    ETCDCTL_KEY: { kind: 'path', meaning: 'private key of `ETCDCTL_CERT` (PEM)' },
  },
  unread: {
    ETCDCTL_ENDPOINTS: 'Name the hosts in SOURCE: etcd://host:2379,host2:2379/key.',
    ETCDCTL_DISCOVERY_SRV: 'Name the hosts in SOURCE: etcd://host:2379,host2:2379/key.',
    ETCDCTL_INSECURE_SKIP_TLS_VERIFY: 'The server is always verified; name its authority in ETCDCTL_CACERT.',
    ETCDCTL_INSECURE_TRANSPORT: 'The scheme says it: etcd:// without TLS, etcds:// with TLS.',
    ETCDCTL_DIAL_TIMEOUT: 'Set FETCH_TIMEOUT, the bound of one read.',
    ETCDCTL_COMMAND_TIMEOUT: 'Set FETCH_TIMEOUT, the bound of one read.',
  },
  advice: {
    'source.denied':
      'Check ETCDCTL_USER and ETCDCTL_PASSWORD, and that the role of that user may read this key or prefix.',
  },
  whenEmpty: 'check the URL (a tree of keys ends with "/", a single key does not)',
  parseUrl: (text): SourceUrl => {
    const address = parseEtcdUrl(text);
    return {
      kind: etcd,
      text,
      path: null,
      settingsMistakes: (given) => tlsMistakes(ETCD_TLS, address.tls, given),
      load: async () => {
        const { openEtcd } = await import('../src/source/etcd/open.ts');
        return (options) => openEtcd(text, address, options);
      },
    };
  },
} as const satisfies SourceKind;
