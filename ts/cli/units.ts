// Numbers for people.

/** A count with a unit: `12.3M`. */
export function number(value: number): string {
  for (const [unit, size] of [
    ['T', 1e12],
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const)
    if (value >= size) return `${(value / size).toFixed(1)}${unit}`
  return value.toFixed(0)
}

/** Bytes with a unit: `12.3 MB`. */
export function bytes(value: number): string {
  return `${number(value)}B`.replace(/([kMGT])B/, ' $1B').replace(/^(\d+)B$/, '$1 B')
}

/** Seconds: `<1 s`, `12 s`, `3 min 5 s`, `2.5 h`. */
export function time(seconds: number): string {
  if (seconds < 0.5) return '<1 s'
  if (seconds < 59.5) return `${seconds.toFixed(0)} s`
  const whole = Math.round(seconds)
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${(seconds / 3600).toFixed(1)} h`
}

/** A whole number with commas, `1,234,567`. Intl, which does the same, takes ten milliseconds to load. */
export const grouped = (n: number) => String(n).replaceAll(/\B(?=(?:\d{3})+$)/g, ',')

/** `1,234 files`, `1 file`. */
export const several = (n: number, what: string) => `${grouped(n)} ${what}${n === 1 ? '' : 's'}`
