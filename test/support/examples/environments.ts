// What every example gives the sidecar: pods, a Compose file, a systemd unit.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load as parseYaml } from 'js-yaml';
import { readManifest } from '../pods/manifest.ts';

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));

export interface ExampleEnvironment {
  /** `nginx-signal: config-sidecar` */
  readonly example: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Settings as environment variables, of every container or service that runs the sidecar. */
export function everyEnvironment(): readonly ExampleEnvironment[] {
  const names = readdirSync(EXAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  return names.flatMap((name) => [...ofPod(name), ...ofCompose(name), ...ofUnit(name)]);
}

/** The settings files that examples have. */
export function everySettingsFile(): readonly { readonly example: string; readonly text: string }[] {
  const names = readdirSync(EXAMPLES).filter((name) => existsSync(join(EXAMPLES, name, 'settings.yaml')));
  return names.map((example) => ({
    example,
    text: readFileSync(join(EXAMPLES, example, 'settings.yaml'), 'utf8'),
  }));
}

function ofPod(name: string): readonly ExampleEnvironment[] {
  if (!existsSync(join(EXAMPLES, name, 'pod.yaml'))) return [];
  const { spec } = readManifest(name);
  return [...(spec.initContainers ?? []), ...spec.containers]
    .filter(({ image }) => image.startsWith('config-sidecar'))
    .map((one) => ({
      example: `${name}: ${one.name}`,
      env: Object.fromEntries((one.env ?? []).map((each) => [each.name, each.value])),
    }));
}

function ofCompose(name: string): readonly ExampleEnvironment[] {
  const path = join(EXAMPLES, name, 'docker-compose.yaml');
  if (!existsSync(path)) return [];
  const { services } = parseYaml(readFileSync(path, 'utf8')) as {
    readonly services: Readonly<Record<string, { readonly environment?: Readonly<Record<string, string>> }>>;
  };
  return [{ example: name, env: services['config-sidecar']?.environment ?? {} }];
}

function ofUnit(name: string): readonly ExampleEnvironment[] {
  const folder = join(EXAMPLES, name);
  const units = readdirSync(folder).filter((file) => file.endsWith('.service'));
  return units.map((unit) => {
    const lines = readFileSync(join(folder, unit), 'utf8').matchAll(/^Environment=([A-Z_]+)=(.*)$/gm);
    return {
      example: `${name}: ${unit}`,
      env: Object.fromEntries([...lines].map(([, key, value]) => [key, value])),
    };
  });
}
