// Consul: a key, or all keys below a prefix, followed by blocking queries.
import { CONSUL_TLS, parseConsulUrl } from '../src/source/consul/url.ts';
import type { SourceKind, SourceUrl } from '../src/source/provider.ts';
import { tlsMistakes } from '../src/source/tls-files.ts';

export const consul = {
  name: 'Consul',
  schemes: ['consul', 'consuls'],
  form: '`consul(s)://host:8500/key`',
  settings: {
    CONSUL_HTTP_TOKEN: { kind: 'token', meaning: 'ACL token of Consul', secret: 'whole' },
    CONSUL_CACERT: { kind: 'path', meaning: 'certificate authorities Consul is checked against (PEM)' },
    CONSUL_CLIENT_CERT: { kind: 'path', meaning: 'client certificate for Consul (PEM)' },
    CONSUL_CLIENT_KEY: { kind: 'path', meaning: 'private key of `CONSUL_CLIENT_CERT` (PEM)' },
    CONSUL_NAMESPACE: { kind: 'word', meaning: 'namespace of Consul (Enterprise)' },
  },
  unread: {
    CONSUL_HTTP_ADDR: 'Name the host in SOURCE: consul://host:8500/key.',
    CONSUL_HTTP_AUTH: 'Give an ACL token as CONSUL_HTTP_TOKEN.',
    CONSUL_HTTP_SSL: 'The scheme says it: consul:// without TLS, consuls:// with TLS.',
    CONSUL_HTTP_SSL_VERIFY: 'The server is always verified; name its authority in CONSUL_CACERT.',
    CONSUL_TLS_SERVER_NAME: 'Name the host in SOURCE as its certificate does.',
    CONSUL_CAPATH: 'Name one file with all authorities in CONSUL_CACERT.',
    CONSUL_PARTITION: 'The partition is always that of the agent or of the token.',
  },
  advice: {
    'source.denied':
      'Check CONSUL_HTTP_TOKEN, and that its policy may read (key_prefix … read) and list this key.',
  },
  whenEmpty:
    'check the URL (a tree of keys ends with "/", a single key does not) and the token, as one that may not read gets the same answer',
  parseUrl: (text): SourceUrl => {
    const address = parseConsulUrl(text);
    return {
      kind: consul,
      text,
      path: null,
      settingsMistakes: (given) => tlsMistakes(CONSUL_TLS, address.tls, given),
      load: async () => {
        const { openConsul } = await import('../src/source/consul/open.ts');
        return (options) => openConsul(text, address, options);
      },
    };
  },
} as const satisfies SourceKind;
