// Keys, draws and orders: the section "Randomness" of docs/planning.md.
import { createXXHash128, createXXHash3 } from 'hash-wasm'

const encoder = new TextEncoder()
const MASK = (1n << 64n) - 1n

export interface Random {
  key(text: string): bigint
  draw(purpose: string, key: bigint, counter: bigint | number): bigint
  /** The items in random order by (purpose, counter). */
  order<T>(items: T[], purpose: string, counter: bigint, keyOf: (item: T) => bigint): T[]
}

export const turn = (epoch: number, round: number) => BigInt(epoch) * 2n ** 32n + BigInt(round)
/** Whether an event of probability `p` happens with the draw `d`. */
export const happens = (d: bigint, p: number) => p >= 1 || (p > 0 && d < BigInt(Math.floor(p * 2 ** 64)))

/** Sorted by the numbers that `by` gives, the first that differs deciding; ties stay in order. */
export function sortBy<T>(items: T[], by: (item: T) => (bigint | number)[]): T[] {
  const ranked = items.map((item) => ({ item, rank: by(item) }))
  ranked.sort((a, b) => {
    for (const [i, x] of a.rank.entries()) {
      const y = b.rank[i] as bigint | number
      if (x < y) return -1
      if (x > y) return 1
    }
    return 0
  })
  return ranked.map(({ item }) => item)
}

export async function randomOf(seed: number): Promise<Random> {
  const hash128 = await createXXHash128(0, 0)
  const hash64 = await createXXHash3(seed % 2 ** 32, Math.floor(seed / 2 ** 32))
  const key = (text: string) => BigInt(`0x${hash128.init().update(encoder.encode(text)).digest('hex')}`)
  const draw = (purpose: string, k: bigint, counter: bigint | number) => {
    const bytes = new Uint8Array(24 + purpose.length)
    for (let i = 0; i < 16; i += 1) bytes[i] = Number((k >> BigInt(8 * i)) & 255n)
    for (let i = 0; i < 8; i += 1) bytes[16 + i] = Number(((BigInt(counter) & MASK) >> BigInt(8 * i)) & 255n)
    bytes.set(encoder.encode(purpose), 24)
    return BigInt(`0x${hash64.init().update(bytes).digest('hex')}`)
  }
  return {
    key,
    draw,
    order: (items, purpose, counter, keyOf) =>
      sortBy(items, (item) => [draw(purpose, keyOf(item), counter), keyOf(item)]),
  }
}
