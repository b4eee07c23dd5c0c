// A target with several outputs in a settings file, followed from one source file.
import { existsSync, readFileSync } from 'node:fs';
import { replaceFile } from './backing.ts';
import type { Place } from './place.ts';
import type { Variables } from './sidecar.ts';

export interface SeveralOutputs {
  readonly variables: Variables;
  /** Makes this the data. */
  readonly set: (data: Readonly<Record<string, unknown>>) => void;
  /** What a file below the place holds; null where there is none. */
  readonly shown: (path: string) => string | null;
}

/**
 * Templates `one` and `two` print the values of `one` and `two`, into `out/one.conf` and into the directory `dir`.
 * @param more keys of every entry, as YAML.
 */
export function severalOutputs(
  place: Place,
  {
    one = '',
    two = '',
    variables = {},
    isDirectoryFirst = false,
  }: { one?: string; two?: string; variables?: Variables; isDirectoryFirst?: boolean } = {},
): SeveralOutputs {
  place.directory('out');
  place.directory('dir');
  place.directory('state');
  place.write('templates/one.conf.liquid', 'one {{ one }}\n');
  place.write('templates/two/two.conf.liquid', 'two {{ two }}\n');
  place.write('templates/two/sub/key.pem.liquid', 'key {{ two }}\n');
  const file = `  - output: ${place.at('out/one.conf')}
    template: ${place.at('templates/one.conf.liquid')}
${indented(one)}`;
  const directory = `  - output: ${place.at('dir')}/
    template: ${place.at('templates/two')}
${indented(two)}`;
  const entries = isDirectoryFirst ? directory + file : file + directory;
  place.write('settings.yaml', `outputs:\n${entries}`);
  return {
    variables: {
      SOURCE: place.at('source.json'),
      SETTINGS_FILE: place.at('settings.yaml'),
      STATE_DIR: place.at('state'),
      RELOAD_MIN_INTERVAL: '0',
      DEBOUNCE: '0',
      UPDATE_FREQUENCY: '300ms',
      ...variables,
    },
    set: (data) => replaceFile(place.at('source.json'), `${JSON.stringify(data)}\n`),
    shown: (path) => (existsSync(place.at(path)) ? readFileSync(place.at(path), 'utf8') : null),
  };
}

function indented(yaml: string): string {
  return yaml === '' ? '' : `    ${yaml}\n`;
}
