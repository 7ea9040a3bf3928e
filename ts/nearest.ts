// Names that a misspelt one may mean.

/** Those of `names` that `name` may have meant: a few letters away, or its beginning; the nearest first. */
export function nearest(name: string, names: string[]): string[] {
  const most = Math.max(2, Math.floor(name.length / 3))
  return names
    .map((candidate) => ({ candidate, away: candidate.startsWith(name) ? 0 : distance(name, candidate) }))
    .filter(({ away }) => away <= most)
    .toSorted((a, b) => a.away - b.away)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

/** Letters to insert, drop or change to come from `a` to `b`. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
