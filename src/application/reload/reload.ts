// Notifies the application by the one hook of its target. Returns the result and leaves the consequences to the loop.
import { commandReload } from './command.ts';
import type { ReloadContext, ReloadHook, ReloadResult } from './hook.ts';
import { httpReload } from './http.ts';
import { signalReload } from './signal.ts';

/**
 * One try. Never throws for anything the other side does; an abort ends it at once, and what was under way is `unknown`.
 */
export async function reload(
  hook: ReloadHook,
  context: ReloadContext,
  signal: AbortSignal,
): Promise<ReloadResult> {
  if (signal.aborted) {
    const message = 'Cannot notify the application: the sidecar is stopping';
    return { kind: 'owed', class: 'unavailable', code: 'reload.aborted', message };
  }
  switch (hook.kind) {
    case 'signal':
      return signalReload(hook, context);
    case 'http':
      return await httpReload(hook, context, signal);
    case 'command':
      return await commandReload(hook, context, signal);
  }
}
