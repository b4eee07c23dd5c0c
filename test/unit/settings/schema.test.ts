// The JSON Schema of the settings file: it takes what the program takes, and no key that the program refuses.
import { Ajv } from 'ajv';
import { load as parseYaml } from 'js-yaml';
import { expect, test } from 'vitest';
import { settingsSchema } from '../../../src/settings/schema.ts';
import { NAMES, SPELLINGS } from '../../../src/settings/table.ts';
import { everyEnvironment, everySettingsFile } from '../../support/examples/environments.ts';

const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(settingsSchema());

function mistakes(settings: unknown): readonly string[] {
  return validate(settings)
    ? []
    : (validate.errors ?? []).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`);
}

test('it has every key of the settings file, each with what it means', () => {
  const { properties } = settingsSchema()['else'] as {
    readonly properties: Readonly<Record<string, { readonly description: string }>>;
  };
  const keys = [...SPELLINGS.keys()]
    .map((name) => name.toLowerCase())
    .filter((name) => name !== 'settings_file');
  expect(Object.keys(properties)).toEqual(keys);
  expect(keys.length).toBeGreaterThan(NAMES.length);
  for (const { description } of Object.values(properties)) expect(description.length).toBeGreaterThan(5);
});

const examples = everyEnvironment().filter(({ env }) => env['SETTINGS_FILE'] === undefined);

test('there are examples to test it with', () => {
  expect(examples.length).toBeGreaterThan(8);
});

test.each(examples)(
  'it takes the settings of $example, at the top, under defaults: and in a target',
  ({ env }) => {
    const settings = Object.fromEntries(
      // In the environment it is the list as JSON.
      Object.entries(env).map(([name, value]) => [
        name.toLowerCase(),
        name === 'OUTPUTS' ? JSON.parse(value) : value,
      ]),
    );
    expect(mistakes(settings)).toEqual([]);
    expect(mistakes({ defaults: settings })).toEqual([]);
    const { listen, log_format, log_level, control_token, once_timeout, ...own } = settings;
    expect(mistakes({ targets: { web: own } })).toEqual([]);
  },
);

test.each(everySettingsFile())('it takes the settings file of $example', ({ text }) => {
  expect(mistakes(parseYaml(text))).toEqual([]);
});

test.each([
  'update_frequency: 60\nallow_empty: true\noutput_mode: 0644\nkeep_generations: 3\n',
  'source: [./a.yaml, ./b.yaml]\noutput: /srv/app.json\n',
  'source:\n  - url: etcd://h/a/\n    name: db\n  - ./b.yaml\n',
  'required_keys: [db/host, db/port]\nvalidate_command: [nginx, -t]\n',
  'reload_headers: { Authorization: x, X-Trace: 1 }\nhttp_token_file: /run/token\n',
  'defaults: { listen: off }\ntargets: { web: { output: /a }, log_shipper: { output: /b/ } }\n',
  'outputs:\n  - output: /a/\n    modes: { "*.key": 0640 }\n  - { output: /b, validate_command: [nginx, -t], output_mode: 600 }\n',
  'outputs: { output: /a, format: yaml }\n',
  'targets: { web: { outputs: [{ output: /a }, { output: /b/ }] } }\n',
  '{}',
])('it takes %j', (text) => {
  expect(mistakes(parseYaml(text))).toEqual([]);
});

test.each([
  ['outptu: /srv/app.json', ' additionalProperties'],
  ['targets: { web: { outptu: /a } }', '/targets/web additionalProperties'],
  ['targets: { web: { listen: off } }', '/targets/web additionalProperties'],
  ['targets: { "1": { output: /a } }', '/targets propertyNames'],
  ['outputs: [{ outptu: /a }]', '/outputs/0 additionalProperties'],
  ['outputs: [{ template: /a }]', '/outputs/0 required'],
  ['outputs: [{ output: /a, format: xml }]', '/outputs/0/format enum'],
  ['outputs: []', '/outputs minItems'],
  ['targets: {}', '/targets minProperties'],
  ['output: ""', '/output minLength'],
  ['output: [a, b]', '/output type'],
  ['log_format: xml', '/log_format enum'],
  ['allow_empty: perhaps', '/allow_empty enum'],
  ['settings_file: /other.yaml', ' additionalProperties'],
  ['defaults: { output: /a }\noutput: /b', ' additionalProperties'],
  ['http_token_file: [a]', '/http_token_file type'],
  ['required_keys: []', '/required_keys minItems'],
])('it refuses %j', (text, mistake) => {
  expect(mistakes(parseYaml(text))).toContain(mistake);
});
