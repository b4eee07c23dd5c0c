// `assign`, strict: a variable that is missing is an error where it gets its other name, too.
import { AssignTag, type Context, type Value } from 'liquidjs';

/** What the library keeps to itself. */
interface Parts {
  readonly key: string;
  readonly value: Value;
}

/**
 * The library assigns null for what is missing. A loop over a misspelled `backends | sort` would then make an empty list
 * of backends, without an error. `default` makes it optional, as everywhere.
 */
export class StrictAssign extends AssignTag {
  override *render(context: Context): Generator<unknown, void, unknown> {
    const { key, value } = this as unknown as Parts;
    const assigned = yield value.value(context, false);
    Object.assign(context.bottom(), { [key]: assigned });
  }
}
