// A slow, plain planner, written from docs/planning.md alone, to compare the real one with.
import { createXXHash128, createXXHash3 } from 'hash-wasm'

export interface Doc { id: string; tokens: number; keyword: string | null }
export interface Piece { doc: Doc; start: number; len: number }
export interface Sequence { pieces: Piece[]; rule: string; epoch: number; round: number }
export interface Options {
  method: 'quest' | 'standard'; pool: 'keyworded' | 'all'; splitRatio: number; splitBy: 'keywords' | 'documents' | 'tokens'
  oversample: number; shortShare: number | null; minGroup: number; fill: 'next' | 'related' | 'drop' | 'pad'; length: number
  lead: number; sep: number; sequenceBos: boolean; overflow: 'split' | 'truncate' | 'whole'; lastFill: 'drop' | 'pad'
  tokens: number | null; seed: number; maxUses: number | null; minTokens: number; maxTokens: number | null
}
interface Group { keyword: string | null; docs: Doc[] }
interface Tail { unit: Piece[]; keyword: string | null; key: bigint }

const encoder = new TextEncoder()
const MASK = (1n << 64n) - 1n

const happens = (d: bigint, p: number) => p >= 1 || (p > 0 && d < BigInt(Math.floor(p * 2 ** 64)))
const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const parent = (phrase: string) => (phrase.includes(' ') ? phrase.slice(phrase.indexOf(' ') + 1) : null)
const length = (pieces: Piece[]) => pieces.reduce((sum, p) => sum + p.len, 0)
const sortBy = <T>(list: T[], by: (item: T) => (bigint | number)[]) =>
  list.map((item) => ({ item, rank: by(item) })).toSorted((a, b) => {
    for (const [i, x] of a.rank.entries()) {
      const y = b.rank[i] as bigint | number
      if (x < y) return -1
      if (x > y) return 1
    }
    return 0
  }).map(({ item }) => item)

export async function referencePlan(docs: Doc[], o: Options): Promise<Sequence[]> {
  const hash128 = await createXXHash128(0, 0)
  const hash64 = await createXXHash3(o.seed % 2 ** 32, Math.floor(o.seed / 2 ** 32))
  const key = (text: string) => BigInt(`0x${hash128.init().update(encoder.encode(text)).digest('hex')}`)
  const draw = (purpose: string, k: bigint, counter: bigint) => {
    const bytes = new Uint8Array(24 + purpose.length)
    for (let i = 0; i < 16; i += 1) bytes[i] = Number((k >> BigInt(8 * i)) & 255n)
    for (let i = 0; i < 8; i += 1) bytes[16 + i] = Number(((counter & MASK) >> BigInt(8 * i)) & 255n)
    bytes.set(encoder.encode(purpose), 24)
    return BigInt(`0x${hash64.init().update(bytes).digest('hex')}`)
  }
  const randomly = <T>(list: T[], purpose: string, counter: bigint, keyOf: (item: T) => bigint) => sortBy(list, (item) => [draw(purpose, keyOf(item), counter), keyOf(item)])
  const virtual = (doc: Doc) => o.lead + doc.tokens + o.sep
  const C = o.length - (o.sequenceBos ? 1 : 0)

  const pool = docs.filter((d) => d.tokens >= Math.max(1, o.minTokens) && (o.maxTokens === null || d.tokens <= o.maxTokens) && (o.pool === 'all' || d.keyword !== null))
  const keywords = [...new Set(docs.flatMap((d) => d.keyword ?? []))].toSorted(compare)
  const list = (keyword: string) => pool.filter((d) => d.keyword === keyword)
  const measure = (keyword: string) => (o.splitBy === 'keywords' ? 1 : o.splitBy === 'documents' ? list(keyword).length : list(keyword).reduce((sum, d) => sum + virtual(d), 0))
  const several = sortBy(keywords.filter((k) => list(k).length >= o.minGroup && list(k).length > 0), (k) => [list(k).length, draw('partition', key(k), 0n), key(k)])
  const limit = o.splitRatio * several.reduce((sum, k) => sum + measure(k), 0)
  const short = new Set<string>()
  let reached = 0
  for (const k of several) {
    reached += measure(k)
    if (reached > limit) break
    short.add(k)
  }
  const S = pool.filter((d) => d.keyword !== null && short.has(d.keyword)).reduce((sum, d) => sum + virtual(d), 0)
  const R = pool.reduce((sum, d) => sum + virtual(d), 0) - S
  const oversample = o.shortShare === null ? o.oversample : Math.max(1, (o.shortShare * R) / ((1 - o.shortShare) * S))
  const uses = (k: string, epoch: number) =>
    short.has(k) ? Math.floor(oversample) + (happens(draw('oversample', key(k), BigInt(epoch)), oversample - Math.floor(oversample)) ? 1 : 0) : 1

  const children = new Map<string, Set<string>>()
  for (const k of keywords) for (let p: string = k, up = parent(p); up !== null; p = up, up = parent(p)) children.set(up, (children.get(up) ?? new Set()).add(p))
  const nodes = [...new Set([...keywords, ...[...children].filter(([, c]) => c.size > 1).map(([p]) => p)])].toSorted(compare)
  const parentNode = (phrase: string) => {
    let up = parent(phrase)
    while (up !== null && !nodes.includes(up)) up = parent(up)
    return up
  }

  let finished: Sequence[] = []
  let epoch = 0
  let round = 0
  const finish = (pieces: Piece[], rule: string) => finished.push({ pieces, rule, epoch, round })

  function arrange(units: Piece[][], open: Piece[], carried: boolean, rule: string): Piece[] {
    if (o.overflow === 'whole') {
      const rest: Piece[] = []
      for (const piece of units.flat()) {
        let { start, len } = piece
        for (; len >= C; start += C, len -= C) finish([{ doc: piece.doc, start, len: C }], rule)
        if (len > 0) rest.push({ doc: piece.doc, start, len })
      }
      const bins: Piece[][] = open.length > 0 ? [open] : []
      for (const piece of sortBy(rest, (p) => [-p.len, docs.indexOf(p.doc), p.start])) {
        const fits = bins.filter((bin) => C - length(bin) >= piece.len && !bin.some((p) => p.doc === piece.doc))
        const best = sortBy(fits, (bin) => [C - length(bin)])[0]
        if (best === undefined) bins.push([piece])
        else best.push(piece)
      }
      const unfinished = bins.filter((bin) => length(bin) < C)
      const most = Math.max(...unfinished.map((bin) => C - length(bin)))
      const left = unfinished.findLast((bin) => C - length(bin) === most)
      for (const bin of bins) if (bin !== left) finish(bin, rule)
      return left ?? []
    }
    let now = [...open]
    let done = 0
    const lay = (unit: Piece[]) => {
      for (const piece of unit) {
        let { start, len } = piece
        while (len > 0) {
          const take = Math.min(len, C - length(now))
          now.push({ doc: piece.doc, start, len: take })
          start += take
          len -= take
          if (length(now) === C) {
            finish(now, rule)
            now = []
            done += 1
            if (o.overflow === 'truncate') len = 0
          }
        }
      }
    }
    const blocked = new Set(carried ? open.map((p) => p.doc) : [])
    const later: Piece[][] = []
    for (const unit of units) {
      if (done === 0 && unit.some((p) => blocked.has(p.doc))) later.push(unit)
      else {
        lay(unit)
        if (done > 0) later.splice(0).forEach(lay)
      }
    }
    if (later.length > 0) {
      end(now)
      now = []
      later.forEach(lay)
    }
    return now
  }
  const end = (open: Piece[]) => {
    if (open.length > 0 && o.lastFill === 'pad') finish(open, 'last')
  }
  const turn = () => BigInt(epoch) * 2n ** 32n + BigInt(round)
  const ordered = (tails: Tail[]) => randomly(tails, 'tail', turn(), (t) => t.key)

  const wanted = o.tokens === null ? null : Math.ceil(o.tokens / o.length)
  const used = new Map<string, number>()
  const all: Sequence[] = []
  for (;;) {
    finished = []
    const cut = (name: string, n: number) => {
      const allowed = o.maxUses === null ? n : Math.min(n, o.maxUses - (used.get(name) ?? 0))
      used.set(name, (used.get(name) ?? 0) + allowed)
      return allowed
    }
    const times = new Map(keywords.map((k) => [k, list(k).length === 0 ? 0 : cut(`k ${k}`, uses(k, epoch))]))
    const lone = cut('lone', 1)
    let open: Piece[] = []
    for (round = 0; round < Math.max(o.method === 'standard' ? 0 : Math.max(0, ...times.values()), lone); round += 1) {
      const shuffled = (group: Doc[]) => randomly(group, 'order', turn(), (d) => key(d.id))
      const groups: Group[] =
        o.method === 'standard'
          ? [{ keyword: null, docs: shuffled(pool) }]
          : [
              ...keywords.filter((k) => (times.get(k) ?? 0) > round).map((keyword) => ({ keyword, docs: shuffled(list(keyword)) })),
              ...(round < lone ? pool.filter((d) => d.keyword === null).map((d) => ({ keyword: null, docs: [d] })) : []),
            ]
      let tails: Tail[] = []
      for (const { keyword, docs: members } of groups) {
        if (members.length === 0) continue
        const unit = arrange(members.map((doc) => [{ doc, start: 0, len: virtual(doc) }]), [], false, 'group')
        if (unit.length > 0) tails.push({ unit, keyword, key: key(keyword ?? (members[0] as Doc).id) })
      }
      if (o.fill === 'drop') continue
      if (o.fill === 'pad') {
        for (const { unit } of tails) finish(unit, 'pad')
        continue
      }
      if (o.fill === 'related') {
        const left = tails.filter((t) => t.keyword === null)
        const visit = (node: string): Tail | null => {
          const below = nodes.filter((n) => parentNode(n) === node).map(visit).filter((t) => t !== null)
          const own = tails.filter((t) => t.keyword === node)
          const units = [...own, ...ordered(below)].map((t) => t.unit)
          const unit = units.length > 1 ? arrange(units, [], false, 'related') : (units[0] ?? [])
          return unit.length > 0 ? { unit, keyword: null, key: key(node) } : null
        }
        for (const root of nodes.filter((n) => parentNode(n) === null)) {
          const tail = visit(root)
          if (tail !== null) left.push(tail)
        }
        tails = left
      }
      open = arrange(ordered(tails).map((t) => t.unit), open, true, 'next')
    }
    round = Math.max(0, round - 1)
    end(open)
    all.push(...randomlyOrdered(finished))
    epoch += 1
    if (wanted === null || all.length >= wanted || finished.length === 0) break
  }
  return wanted === null ? all : all.slice(0, wanted)

  function randomlyOrdered(sequences: Sequence[]): Sequence[] {
    return sortBy(sequences, (s) => {
      const first = s.pieces[0] as Piece
      const k = key(first.doc.id)
      return [draw('sequence', k, (BigInt(s.epoch) << 56n) + (BigInt(s.round) << 32n) + BigInt(first.start)), k]
    })
  }
}
