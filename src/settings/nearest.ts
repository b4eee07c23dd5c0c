// "Did you mean …": the candidate a misspelt word is closest to.

/**
 * Letters to insert, remove, replace or swap with their neighbour to get from one word to the other (optimal string
 * alignment). Infinity when it takes more than `limit`, which must be small: the time is exponential in it.
 */
export function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return Number.POSITIVE_INFINITY;
  let same = 0;
  while (same < a.length && a[same] === b[same]) same += 1;
  const [left, right] = [a.slice(same), b.slice(same)];
  if (left === '' || right === '') return left.length + right.length;
  if (limit === 0) return Number.POSITIVE_INFINITY;
  const swapped = left[0] === right[1] && left[1] === right[0];
  return (
    1 +
    Math.min(
      distance(left.slice(1), right, limit - 1),
      distance(left, right.slice(1), limit - 1),
      distance(left.slice(1), right.slice(1), limit - 1),
      swapped ? distance(left.slice(2), right.slice(2), limit - 1) : Number.POSITIVE_INFINITY,
    )
  );
}

/** The candidate closest to the word, case and punctuation aside, or undefined when none is near (2 letters). */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = plain(word);
  const limit = wanted.length < 5 ? 1 : 2;
  const ranked = candidates
    .map((candidate) => ({ candidate, letters: distance(wanted, plain(candidate), limit) }))
    .filter(({ letters }) => letters <= limit)
    .sort((a, b) => a.letters - b.letters);
  return ranked[0]?.candidate;
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[^a-z0-9]/g, '');
}
