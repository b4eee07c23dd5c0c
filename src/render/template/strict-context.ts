// How a template finds a key: `size`, `first` and `last` of a map are keys like any other.
import { Context, Drop } from 'liquidjs';

const DERIVED: ReadonlySet<unknown> = new Set(['size', 'first', 'last']);

/** The library makes up these three for a map that has no such key; here they are missing, as any other would be. */
export class StrictContext extends Context {
  override readProperty(...[object, key]: Parameters<Context['readProperty']>): unknown {
    if (DERIVED.has(key) && isMap(object) && !Object.hasOwn(object, key as string)) return undefined;
    return super.readProperty(object, key);
  }

  override spawn(scope: object = {}): StrictContext {
    const { sync, globals, strictVariables, ownPropertyOnly, renderLimit, memoryLimit, liquid } = this;
    const options = { sync, globals, strictVariables, ownPropertyOnly };
    return new StrictContext(scope, this.opts, options, {
      renderLimit,
      memoryLimit,
      liquid: liquid as unknown,
    });
  }
}

function isMap(object: unknown): object is object {
  const isObject = typeof object === 'object' && object !== null;
  return isObject && !Array.isArray(object) && !(object instanceof Drop);
}
