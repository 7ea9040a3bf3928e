// Sizes as people write them.

/** Bytes of a text with a unit. `2GiB`, `2Gi` and `2G` are 2³¹, as Slurm, Java and Docker read them; `2GB` is 2·10⁹. NaN for any other text. */
export function bytes(text: string): number {
  const [, number, prefix = '', unit = ''] = /^([\d.]+(?:e\d+)?)\s*([kmgt]?)(i?b?)$/i.exec(text.trim()) ?? []
  if (number === undefined || (prefix === '' && /i/i.test(unit))) return Number.NaN
  const base = unit.toLowerCase() === 'b' ? 1000 : 1024
  return Math.round(Number(number) * base ** ' kmgt'.indexOf(prefix.toLowerCase() || ' '))
}
