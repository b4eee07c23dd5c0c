// An HTTP API: one document, asked for at every interval with a conditional GET.
import { HTTP_TLS, loginMistakes } from '../src/source/http-credentials.ts';
import { parseHttpUrl } from '../src/source/http-url.ts';
import type { SourceKind, SourceUrl } from '../src/source/provider.ts';
import { tlsMistakes } from '../src/source/tls-files.ts';

export const http = {
  name: 'an HTTP API',
  schemes: ['http', 'https'],
  form: '`http(s)://…`',
  settings: {
    HTTP_TOKEN: { kind: 'token', meaning: 'bearer token of an HTTP source', secret: 'whole' },
    HTTP_USERNAME: { kind: 'text', meaning: 'user name of an HTTP source' },
    HTTP_PASSWORD: { kind: 'text', meaning: 'password of an HTTP source', secret: 'whole' },
    HTTP_HEADERS: {
      kind: 'headers',
      meaning: "headers sent to an HTTP source's own origin, one per line, `Name: value`",
      secret: 'whole',
    },
    HTTP_CACERT: {
      kind: 'path',
      meaning: 'certificate authorities an HTTPS source is checked against (PEM)',
    },
    HTTP_CERT: { kind: 'path', meaning: 'client certificate for an HTTPS source (PEM)' },
    HTTP_KEY: { kind: 'path', meaning: 'private key of `HTTP_CERT` (PEM)' },
  },
  unread: {},
  advice: {
    'source.denied':
      'Check HTTP_TOKEN, or HTTP_USERNAME and HTTP_PASSWORD, or HTTP_HEADERS, and what they may read.',
  },
  whenEmpty: 'check the URL',
  parseUrl: (text): SourceUrl => {
    const target = parseHttpUrl(text);
    return {
      kind: http,
      text,
      path: null,
      settingsMistakes: (given) => [...tlsMistakes(HTTP_TLS, target.tls, given), ...loginMistakes(given)],
      load: async () => {
        const { openHttp } = await import('../src/source/http-source.ts');
        return (options) => openHttp(text, target, options);
      },
    };
  },
} as const satisfies SourceKind;
