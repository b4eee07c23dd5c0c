// Publishes at once, where a test does not look at what is between staging and swapping.
import type { Publisher } from '../../../src/publish/publisher.ts';
import type { Generation } from '../../../src/render/generation.ts';

export async function publishNow(publisher: Publisher, generation: Generation): Promise<void> {
  const staged = await publisher.stage(generation);
  await staged.swap();
}
