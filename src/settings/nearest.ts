// "Did you mean …": the candidate a misspelt word is closest to.

/**
 * Letters to insert, remove, replace or swap with their neighbour to get from one word to the other (optimal string
 * alignment). Infinity when it takes more than `limit`, which must be small: the time is exponential in it.
 */
export function distance(a: string, b: string, limit: number): number {
  return distanceOfEnds({ a, b }, 0, 0, limit);
}

/** Of what follows position `i` of `a` and `j` of `b`. By position: copies of the ends would be most of the cost. */
function distanceOfEnds(
  words: { readonly a: string; readonly b: string },
  i: number,
  j: number,
  limit: number,
): number {
  const { a, b } = words;
  if (Math.abs(a.length - i - (b.length - j)) > limit) return Number.POSITIVE_INFINITY;
  let same = 0;
  while (i + same < a.length && a[i + same] === b[j + same]) same += 1;
  const [left, right] = [i + same, j + same];
  if (left >= a.length || right >= b.length) return a.length - left + b.length - right;
  if (limit === 0) return Number.POSITIVE_INFINITY;
  const isSwapped = a[left] === b[right + 1] && a[left + 1] === b[right];
  return (
    1 +
    Math.min(
      distanceOfEnds(words, left + 1, right, limit - 1),
      distanceOfEnds(words, left, right + 1, limit - 1),
      distanceOfEnds(words, left + 1, right + 1, limit - 1),
      isSwapped ? distanceOfEnds(words, left + 2, right + 2, limit - 1) : Number.POSITIVE_INFINITY,
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
