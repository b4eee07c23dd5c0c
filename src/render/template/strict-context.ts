// How a template finds a key: `size`, `first` and `last` of a map are keys like any other.
import { Context, Drop } from 'liquidjs';

const DERIVED: ReadonlySet<unknown> = new Set(['size', 'first', 'last']);

/** The library makes up these three for a map that has no such key; here they are missing, as any other would be. */
export class StrictContext extends Context {
  override readProperty(...[from, key]: Parameters<Context['readProperty']>): unknown {
    const object = from === this.environments ? layerWith(from, key) : from;
    if (DERIVED.has(key) && isMap(object) && !Object.hasOwn(object, key as string)) return undefined;
    return super.readProperty(object, key);
  }

  override spawn(names: object = {}): StrictContext {
    const scope = Object.assign(Object.create(null), names) as object;
    const { sync, globals, strictVariables, ownPropertyOnly, renderLimit, memoryLimit, liquid } = this;
    const options = { sync, globals, strictVariables, ownPropertyOnly };
    return new StrictContext(scope, this.opts, options, {
      renderLimit,
      memoryLimit,
      liquid: liquid as unknown,
    });
  }
}

/** The scope is made of layers, each the prototype of the one above it: they are too large to be copied for each template. */
function layerWith(scope: object, key: unknown): object {
  let layer: object | null = scope;
  while (layer !== null && !Object.hasOwn(layer, key as PropertyKey)) layer = Object.getPrototypeOf(layer);
  return layer ?? scope;
}

function isMap(object: unknown): object is object {
  const isObject = typeof object === 'object' && object !== null;
  return isObject && !Array.isArray(object) && !(object instanceof Drop);
}
