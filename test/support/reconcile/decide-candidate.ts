// What the sidecar of the small world wants on the volume: the newest content, rendered and checked, as src/reconcile/candidate.ts.

import type { Published } from '../../../src/ledger/ledger.ts';
import type { Facts } from '../../../src/reconcile/decide.ts';
import { isPublishable, natureOf, renderingOf } from './decide-contents.ts';
import { delayOf } from './decide-retries.ts';
import type { World } from './decide-world.ts';

export class Candidate {
  readonly #world: World;
  #asked = false;
  #input: Facts['input'] = null;
  #content = 0;
  #rendered: Facts['rendered'] = null;
  #checked: Facts['checked'] = null;
  #checkFailures = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get facts(): Pick<Facts, 'asked' | 'input' | 'rendered' | 'checked' | 'validates'> {
    return {
      ...{ asked: this.#asked, input: this.#input, rendered: this.#rendered, checked: this.#checked },
      validates: this.#world.setting.validates,
    };
  }

  /** null when what was rendered last was rejected, and before. */
  get rendering(): string | null {
    return this.#rendered?.rendering ?? null;
  }

  get version(): Published | null {
    const { rendering } = this;
    if (this.#rendered === null || rendering === null) return null;
    if (!isPublishable(Number(rendering.slice(1)), this.#world.setting) && this.#world.volume !== rendering)
      throw new Error(`publishes what is refused: ${rendering}`);
    const { input } = this.#rendered;
    return {
      ...{ revision: input, digest: input, rendering, input },
      ...{ at: this.#world.now, moment: null, as: 'desired' },
    };
  }

  /** The source answered, or failed (null). */
  notice(content: number | null): void {
    this.#asked = true;
    if (content === null) return;
    const id = `i${content}`;
    if (this.#input?.id === id) return;
    const { now } = this.#world;
    const waits = this.#input !== null && this.#input.id !== this.#rendered?.input;
    const first = waits && this.#input !== null ? this.#input.changes.first : now;
    this.#input = { id, changes: { first, latest: now } };
    this.#content = content;
  }

  render(): void {
    const content = this.#content;
    this.#world.renders.push(this.#world.now);
    this.#world.take();
    const isRenderable = natureOf(content) !== 'unrenderable';
    this.#rendered = { input: `i${content}`, rendering: isRenderable ? renderingOf(content) : null };
  }

  validate(): void {
    const { rendering } = this;
    if (rendering === null) throw new Error('validates nothing');
    this.#world.take();
    if (this.#world.sidecar?.isStopping) return;
    const passed = this.#world.validatorWorks && natureOf(Number(rendering.slice(1))) !== 'invalid';
    if (this.#checked?.rendering !== rendering) this.#checkFailures = 0;
    this.#checkFailures = passed ? 0 : this.#checkFailures + 1;
    const retryAt = passed ? 0 : this.#world.now + delayOf(this.#checkFailures);
    this.#checked = { rendering, passed, retryAt };
  }

  reconsider(): void {
    this.#rendered = null;
  }

  tryAgain(): void {
    if (this.#rendered?.rendering === null) this.#rendered = null;
    this.#checkFailures = 0;
    if (this.#checked !== null) this.#checked = { ...this.#checked, retryAt: 0 };
  }
}
