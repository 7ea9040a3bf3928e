// Which documents belong to a length, and which an epoch uses: the sections "Several lengths" and "Sources" of docs/planning.md.
import { virtualTokens } from './parts.ts'
import type { Random } from './random.ts'
import type { Doc, Options } from './types.ts'

const ALL = 2n ** 64n
const sum = (numbers: number[]) => numbers.reduce((total, n) => total + n, 0)
/** ⌊p · 2⁶⁴⌋, and 2⁶⁴ from 1 on. */
const part = (p: number) => (p >= 1 ? ALL : BigInt(Math.floor(p * 2 ** 64)))

/** Whether a draw belongs to the length that is planned. */
export function ofLength({ length, lengths }: Options, draw: bigint): boolean {
  const at = lengths.findIndex((own) => own.length === length)
  const shares = lengths.map(({ share }) => share)
  const bound = (i: number) => (i === shares.length ? ALL : part(sum(shares.slice(0, i)) / sum(shares)))
  return at < 0 || (bound(at) <= draw && draw < bound(at + 1))
}

/** Whether an epoch uses a document of the pool. */
export function usesOf(options: Options, pool: Doc[], { draw, key }: Random) {
  const { sources } = options
  const stretch = (source: string) =>
    sum(pool.filter((doc) => doc.source === source).map((doc) => virtualTokens(options, doc).length)) /
    (sources?.[source] ?? 0)
  const least = Math.min(...new Set(pool.map(({ source }) => stretch(source))))
  return ({ id, source }: Doc, epoch: number) => {
    if (sources === null) return true
    const x = draw('source', key(id), 0)
    const R = part(least / stretch(source))
    return (x + BigInt(epoch + 1) * R) / ALL > (x + BigInt(epoch) * R) / ALL
  }
}

/** `tokens` of the length that is planned. */
export function ownTokens({ length, lengths, tokens }: Options): number | null {
  const own = lengths.find((other) => other.length === length)
  return tokens === null || own === undefined
    ? tokens
    : Math.ceil((tokens * own.share) / sum(lengths.map(({ share }) => share)))
}
