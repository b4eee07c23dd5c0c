// Renders what most of a large output consists of, plain text and `{{ a.b }}`, without the library's many steps for each.
import {
  type Context,
  type Emitter,
  type Liquid,
  LiquidError,
  Output,
  RenderError,
  type Template,
  TokenKind,
  TypeGuards,
} from 'liquidjs';

type Path = readonly string[];

/** So many parts are rendered without a pause; each takes less than a microsecond. */
const PARTS_AT_ONCE = 64;

/** Lets the engine render simple parts quickly. All else, and all that is not as usual, is left to the library. */
export function renderSimplePartsQuickly(engine: Liquid): void {
  const { renderer } = engine;
  const original = renderer.renderTemplates.bind(renderer);
  const paths = new WeakMap<Template, Path | null>();
  renderer.renderTemplates = function* (templates: Template[], context: Context, emitter?: Emitter) {
    // Without one the library makes its own, and gives back what it holds.
    if (emitter === undefined) return yield original(templates, context);
    // Where it goes on after an error, the library keeps all that were thrown.
    if (context.opts.catchAllErrors === true) return yield original(templates, context, emitter);
    context.renderLimit.check(performance.now());
    let parts = 0;
    for (const template of templates) {
      parts += 1;
      if (parts % PARTS_AT_ONCE === 0) yield;
      if (isWritten(template, { context, emitter, paths })) continue;
      yield original([template], context, emitter);
      if (context.breakCalled || context.continueCalled) break;
    }
    return emitter.buffer;
  };
}

interface Rendering {
  readonly context: Context;
  readonly emitter: Emitter;
  readonly paths: WeakMap<Template, Path | null>;
}

function isWritten(template: Template, { context, emitter, paths }: Rendering): boolean {
  try {
    if (template.token.kind === TokenKind.HTML) {
      // A generator that writes its text, and ends.
      (template.render(context, emitter) as Iterator<unknown>).next();
      return true;
    }
    let path = paths.get(template);
    if (path === undefined) {
      path = pathOf(template);
      paths.set(template, path);
    }
    const text = path === null ? null : textAt(path, context);
    if (text === null) return false;
    emitter.write(text);
    return true;
  } catch (thrown) {
    throw LiquidError.is(thrown) ? thrown : new RenderError(thrown as Error, template);
  }
}

/** The names in `{{ a.b }}`; null when it says anything else, a filter for example. */
function pathOf(template: Template): Path | null {
  if (!(template instanceof Output)) return null;
  const { initial, filters } = template.value;
  const [token, ...more] = initial.postfix;
  // The one filter is the check of what is printed, and a text passes that.
  if (filters.length !== 1 || more.length > 0 || !TypeGuards.isPropertyAccessToken(token)) return null;
  const names = token.props.map((prop) => ('content' in prop ? prop.content : null));
  return token.variable === undefined && names.every((name) => typeof name === 'string') ? names : null;
}

/** The text there; null when there is no text, which the library can explain. */
function textAt(path: Path, context: Context): string | null {
  let value: unknown = context['findScope'](path[0] ?? '');
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return null;
    value = context.readProperty(value, name);
  }
  return typeof value === 'string' ? value : null;
}
