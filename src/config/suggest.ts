// "Did you mean": the nearest known word, by edits, else the longest one that contains or is contained.

/** The word the reader most likely meant, or null. */
export function suggest(typo: string, known: readonly string[]): string | null {
  const wanted = typo.toLowerCase();
  let best: { word: string; distance: number } | null = null;
  for (const word of known) {
    const distance = editDistance(wanted, word.toLowerCase());
    const limit = Math.max(2, Math.floor(Math.max(typo.length, word.length) / 3));
    if (distance <= limit && (best === null || distance < best.distance)) best = { word, distance };
  }
  if (best !== null) return best.word;
  const related = known.filter((word) => word.length >= 3 && (wanted.includes(word) || word.includes(wanted)));
  return related.sort((a, b) => b.length - a.length)[0] ?? null;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
