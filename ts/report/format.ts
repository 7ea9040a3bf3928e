// Numbers as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const rounded = new Intl.NumberFormat('en', { notation: 'compact' })
const three = new Intl.NumberFormat('en', {
  notation: 'compact',
  minimumSignificantDigits: 3,
  maximumSignificantDigits: 3,
})

/** 1,234,567 */
export const count = (value: number) => whole.format(value)

/** 760, 1.23M: three digits. */
export const compact = (value: number) => (value < 1000 ? whole.format(value) : three.format(value))

/** 2.5K: a round number on an axis. */
export const roundCompact = (value: number) => rounded.format(value)

/** 12.3: this number of digits after the point. */
export const decimal = (value: number, digits = 1) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** 2, 2.5: at most this number of digits after the point. */
export const upTo = (value: number, digits: number) => value.toLocaleString('en', { maximumFractionDigits: digits })

/** A share from 0 to 1 as 34 %, 3.4 %, 0.03 %: finer towards both ends, so that little never reads as nothing. */
export function percent(share: number): string {
  const value = share * 100
  const end = Math.min(value, 100 - value)
  if (end > 0 && end < 0.01) return value < 50 ? '<0.01\u202f%' : '>99.99\u202f%'
  return `${value.toFixed(end <= 0 ? 0 : end < 0.1 ? 2 : end < 10 ? 1 : 0)}\u202f%`
}

/** A share where there is little room: whole percents, but nothing and all only where it is. */
export function coarse(share: number): string {
  if (share > 0 && share < 0.01) return '<1\u202f%'
  if (share > 0.99 && share < 1) return '>99\u202f%'
  return `${Math.round(share * 100)}\u202f%`
}

/** A share on an axis. */
export const tick = (share: number) => `${upTo(share * 100, 2)}\u202f%`

/** A divergence. */
export const bits = (value: number) =>
  value > 0 && value < 0.0001 ? '<0.0001 bits' : `${decimal(value, value === 0 ? 0 : 4)} bits`

/** A value that may not be known. */
export const known = (value: number | null, show: (value: number) => string) => (value === null ? '–' : show(value))

/** Text of at most this number of characters, its end left out. */
export function clip(text: string, most: number): string {
  const characters = [...text]
  return characters.length > most
    ? `${characters
        .slice(0, most - 1)
        .join('')
        .trimEnd()}…`
    : text
}

/** Text of at most this number of characters, its middle left out: names of runs often differ at their ends alone. */
export function squeeze(text: string, most: number): string {
  const characters = [...text]
  if (characters.length <= most) return text
  const half = Math.floor((most - 1) / 2)
  return `${characters.slice(0, most - 1 - half).join('')}…${characters.slice(-half).join('')}`
}

/** 1 document, 2 documents. */
export const counted = (n: number, one: string) => `${count(n)} ${one}${n === 1 ? '' : 's'}`

/** The range of a bucket of a histogram: 1, 2, 3–4, 5–8 … */
export const bucket = (i: number) => (i < 2 ? String(i + 1) : `${2 ** (i - 1) + 1}–${2 ** i}`)
