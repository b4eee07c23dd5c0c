// A file or a directory on a local volume, watched and read whole at every interval.
import { parseFileUrl } from '../src/source/file-url.ts';
import type { SourceKind, SourceUrl } from '../src/source/provider.ts';

export const file = {
  name: 'a file',
  schemes: ['file'],
  form: '`file:///path` or a path',
  settings: {},
  unread: {},
  advice: {
    'source.denied': `Let user ${process.getuid?.() ?? 'of the sidecar'} read it: change its mode or owner, or runAsUser of the sidecar.`,
  },
  whenEmpty: 'check the URL',
  parseUrl: (text, cwd): SourceUrl => {
    const place = parseFileUrl(text, cwd);
    return {
      kind: file,
      text: place.text,
      path: place.path,
      settingsMistakes: () => [],
      load: async () => {
        const { openFile } = await import('../src/source/file-source.ts');
        return (options) => openFile(place, options);
      },
    };
  },
} as const satisfies SourceKind;
