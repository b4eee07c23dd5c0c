// The URL of a Kubernetes source: which objects, where, and which key of them.
import { InvalidValue } from '../../lib/invalid-value.ts';

/** The kinds of object that hold configuration, as the API names them. */
export type Resource = 'configmaps' | 'secrets';

export interface KubernetesPlace {
  readonly resource: Resource;
  /** One object by its name, or all that a label selector finds. */
  readonly wanted:
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'selector'; readonly selector: string };
  /** null: that of the pod, or of the context. */
  readonly namespace: string | null;
  /** The key whose value is a document of its own; null: all keys, as a tree. */
  readonly key: string | null;
  /** JSON Pointer into that document; null for the whole. */
  readonly pointer: string | null;
}

const FORMS =
  'k8s://configmap/NAME, k8s://secret/NAME, k8s://configmaps?selector=LABELS or k8s://secrets?selector=LABELS';

const KINDS: ReadonlyMap<string, { readonly resource: Resource; readonly isOne: boolean }> = new Map([
  ['configmap', { resource: 'configmaps', isOne: true }],
  ['secret', { resource: 'secrets', isOne: true }],
  ['configmaps', { resource: 'configmaps', isOne: false }],
  ['secrets', { resource: 'secrets', isOne: false }],
]);

/** `k8s://configmap/web?namespace=prod#/app.yaml`. @throws InvalidValue. */
export function parseKubernetesUrl(url: string): KubernetesPlace {
  const [, kind = '', name = '', query = '', fragment] =
    /^k8s:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?(?:#(.*))?$/is.exec(url) ?? [];
  const found = KINDS.get(kind.toLowerCase());
  if (found === undefined) return refuse(`it must be ${FORMS}`);
  const parameters = parseQuery(query);
  const namespace = parameters.get('namespace') ?? null;
  if (namespace !== null && !isLabel(namespace)) {
    refuse('the namespace must be the name of one: lower-case letters, digits and "-"');
  }
  return {
    resource: found.resource,
    wanted: found.isOne ? oneObject(name, parameters) : selected(name, parameters),
    namespace,
    ...keyOf(fragment),
  };
}

function oneObject(text: string, parameters: ReadonlyMap<string, string>): KubernetesPlace['wanted'] {
  const name = decode(text);
  if (name === '') refuse(`the URL names no object; it must be ${FORMS}`);
  if (name.endsWith('/')) refuse('the URL ends with a slash; the keys of an object are always a tree');
  if (!isSubdomain(name)) {
    refuse('the name must be that of an object: lower-case letters, digits, "-" and "."');
  }
  if (parameters.has('selector')) refuse('an object that is named needs no selector; remove ?selector=');
  return { kind: 'name', name };
}

function selected(name: string, parameters: ReadonlyMap<string, string>): KubernetesPlace['wanted'] {
  if (name !== '')
    refuse('a selector finds objects without a name; for one object write k8s://configmap/NAME');
  const selector = parameters.get('selector') ?? '';
  if (selector === '') refuse('it needs a selector, such as ?selector=app%3Dweb');
  return { kind: 'selector', selector };
}

function parseQuery(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((one) => one !== '')) {
    const [name = '', ...rest] = part.split('=');
    if (name !== 'namespace' && name !== 'selector') {
      refuse('the only parameters behind ? are namespace and selector');
    }
    if (parameters.has(name)) refuse(`the parameter ${name} is given twice; give it once`);
    parameters.set(name, decode(rest.join('=')));
  }
  return parameters;
}

/** Keys have no slash, so what follows the first part points into the document. */
function keyOf(fragment: string | undefined): Pick<KubernetesPlace, 'key' | 'pointer'> {
  if (fragment === undefined) return { key: null, pointer: null };
  const [empty, key = '', ...rest] = decode(fragment).split('/');
  if (empty !== '' || !isKey(key)) refuse('what follows # must name a key of the object, such as #/app.yaml');
  return { key, pointer: rest.length === 0 ? null : `/${rest.join('/')}` };
}

/** What the API accepts as the key of a ConfigMap or Secret; each is a safe name of a file. */
export function isKey(key: string): boolean {
  return /^[-._a-z0-9]{1,253}$/i.test(key) && key !== '.' && !key.startsWith('..');
}

function isLabel(text: string): boolean {
  return /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(text);
}

function isSubdomain(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?$/.test(text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse('a % starts two hexadecimal digits of UTF-8 text; % itself is written %25');
  }
}

function refuse(reason: string): never {
  throw new InvalidValue(reason);
}
