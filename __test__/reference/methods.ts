// Which groups each round of an epoch has: the sections "Partition", "Groups" and "Methods" of docs/planning.md.
import { clash } from './arrange.ts'
import { pathOf } from './iclm.ts'
import { chunksOf, neighboursOf } from './neighbours.ts'
import { partsOf, virtualTokens } from './parts.ts'
import { happens, sortBy, turn } from './random.ts'
import type { Random } from './random.ts'
import { listsOf } from './topics.ts'
import type {
  Doc,
  Group,
  Iclm,
  Interleave,
  Knn,
  Long,
  NextLong,
  Options,
  Piece,
  Quest,
  Topic,
  Topics,
} from './types.ts'

export interface Setting {
  docs: Doc[]
  keywords: string[]
  vectors: Float32Array[]
  topics: Topic[]
  match: 'all' | 'any'
  random: Random
  C: number
  o: Options
}
/** The rounds of an epoch over its pool; asked for the epochs one after another, because uses add up. */
export type Rounds = (epoch: number, pool: Doc[]) => Group[][]

export function roundsOf(setting: Setting): Rounds {
  const { method } = setting.o
  switch (method.name) {
    case 'quest':
      return quest(method, setting)
    case 'standard':
      return inOneGroup(setting, (epoch, pool) => shuffled(setting, pool, epoch, 0))
    case 'knn':
      return knn(method, setting)
    case 'iclm':
      return iclm(method, setting)
    case 'long':
      return long(method, setting)
    case 'nextlong':
      return nextlong(method, setting)
    case 'topics':
      return topics(method, setting)
    case 'interleave':
      return interleave(method, setting)
  }
}

const sum = (numbers: number[]) => numbers.reduce((total, n) => total + n, 0)
const virtual = ({ o }: Setting, doc: Doc) => virtualTokens(o, doc).length
const ownTokens = (docs: Doc[]) => sum(docs.map(({ words }) => words.length))
const shuffled = ({ random }: Setting, docs: Doc[], epoch: number, round: number) =>
  random.order(docs, 'order', turn(epoch, round), ({ id }) => random.key(id))
const wholeDocuments = (setting: Setting, docs: Doc[]): Piece[] =>
  docs.map((doc) => ({ doc, start: 0, len: virtual(setting, doc) }))

/** Uses of things by name over the epochs, cut by `maxUses`. */
function counter({ o }: Setting) {
  const used = new Map<string, number>()
  const left = (name: string) => (o.maxUses === null ? Infinity : o.maxUses - (used.get(name) ?? 0))
  const cut = (name: string, n: number) => {
    const allowed = Math.min(n, left(name))
    used.set(name, (used.get(name) ?? 0) + allowed)
    return allowed
  }
  return { left, cut }
}

/** One round with one group that uses every document it can once. */
function inOneGroup(setting: Setting, documents: (epoch: number, pool: Doc[]) => Doc[]): Rounds {
  const { cut } = counter(setting)
  return (epoch, pool) =>
    cut('all', 1) === 1 ? [[{ keyword: null, pieces: wholeDocuments(setting, documents(epoch, pool)) }]] : []
}

function quest(method: Quest, setting: Setting): Rounds {
  const { keywords, random } = setting
  const { draw, key } = random
  const { cut } = counter(setting)
  return (epoch, pool) => {
    const list = (keyword: string) => pool.filter((d) => d.keyword === keyword)
    const tokens = (docs: Doc[]) => sum(docs.map((d) => virtual(setting, d)))
    const measure = (keyword: string) =>
      method.splitBy === 'keywords' ? 1 : method.splitBy === 'documents' ? list(keyword).length : tokens(list(keyword))
    const several = sortBy(
      keywords.filter((k) => list(k).length >= method.minKeywordDocuments && list(k).length > 0),
      (k) => [list(k).length, draw('partition', key(k), 0), key(k)],
    )
    const limit = method.splitRatio * sum(several.map(measure))
    const short = new Set<string>()
    let reached = 0
    for (const k of several) {
      reached += measure(k)
      if (reached > limit) break
      short.add(k)
    }
    const S = tokens(pool.filter((d) => d.keyword !== null && short.has(d.keyword)))
    const R = tokens(pool) - S
    const { shortShare } = method
    const oversample = shortShare === null ? method.oversample : Math.max(1, (shortShare * R) / ((1 - shortShare) * S))
    const uses = (k: string) =>
      short.has(k)
        ? Math.floor(oversample) +
          (happens(draw('oversample', key(k), epoch), oversample - Math.floor(oversample)) ? 1 : 0)
        : 1
    const times = keywords.map((k) => ({ k, n: list(k).length === 0 ? 0 : cut(`k ${k}`, uses(k)) }))
    const lone = cut('lone', 1)
    return Array.from({ length: Math.max(lone, ...times.map(({ n }) => n)) }, (_, round) => [
      ...times
        .filter(({ n }) => n > round)
        .map(({ k }) => ({ keyword: k, pieces: wholeDocuments(setting, shuffled(setting, list(k), epoch, round)) })),
      ...(round < lone ? pool.filter((d) => d.keyword === null) : []).map((doc) => ({
        keyword: null,
        pieces: wholeDocuments(setting, [doc]),
      })),
    ])
  }
}

/** Virtual tokens of its groups that end an epoch of `knn`, `nextlong` and `topics`. */
const budget = (setting: Setting, pool: Doc[]) => {
  const { C, o } = setting
  return o.tokens === null ? sum(pool.map((doc) => virtual(setting, doc))) : C * Math.ceil(o.tokens / o.length)
}

/** One round: a group for each anchor that `groupOf` gives one, until the budget is reached. */
function aroundAnchors(
  setting: Setting,
  groupOf: (anchor: Doc, pool: Doc[], first: boolean) => Piece[] | null,
): Rounds {
  return (epoch, pool) => {
    const groups: Group[] = []
    for (const [i, anchor] of shuffled(setting, pool, epoch, 0).entries()) {
      if (sum(groups.flatMap(({ pieces }) => pieces.map(({ len }) => len))) >= budget(setting, pool)) break
      const pieces = groupOf(anchor, pool, i === 0)
      if (pieces !== null) groups.push({ keyword: null, pieces })
    }
    return [groups]
  }
}

function knn(method: Knn, setting: Setting): Rounds {
  const { docs, vectors, C } = setting
  const { lists } = neighboursOf(vectors, method.k, (i, j) => i !== j)
  const { left, cut } = counter(setting)
  return aroundAnchors(setting, (anchor, pool) => {
    if (cut(anchor.id, 1) < 1) return null
    const pieces = wholeDocuments(setting, [anchor])
    let room = C - virtual(setting, anchor)
    for (const doc of (lists[docs.indexOf(anchor)] ?? []).map((i) => docs[i] as Doc)) {
      if (room <= 0) break
      if (!pool.includes(doc) || left(doc.id) < 1) continue
      cut(doc.id, 1)
      const len = Math.min(virtual(setting, doc), room)
      pieces.push({ doc, start: 0, len })
      room -= len
    }
    return pieces
  })
}

function iclm(method: Iclm, setting: Setting): Rounds {
  const { docs, vectors, random } = setting
  const neighbours = neighboursOf(vectors, method.k, (i, j) => i !== j)
  return inOneGroup(setting, (epoch, pool) => pathOf(method.variant, docs, pool, neighbours, random, epoch))
}

function long(method: Long, setting: Setting): Rounds {
  const { random } = setting
  const isLong = (doc: Doc) => doc.words.length >= method.threshold
  if (method.mode === 'filter')
    return inOneGroup(setting, (epoch, pool) => shuffled(setting, pool.filter(isLong), epoch, 0))
  const uses = (doc: Doc, pool: Doc[], epoch: number) => {
    const source = pool.filter((other) => other.source === doc.source)
    const T = ownTokens(source)
    const A = ownTokens(source.filter(isLong))
    if (!(A > 0 && A < T && A < method.longShare * T)) return 1
    const d = random.draw('upsample', random.key(doc.id), epoch)
    if (!isLong(doc)) return happens(d, ((1 - method.longShare) * T) / (T - A)) ? 1 : 0
    const u = (method.longShare * T) / A
    return Math.floor(u) + (happens(d, u - Math.floor(u)) ? 1 : 0)
  }
  const { cut } = counter(setting)
  return (epoch, pool) => {
    const times = pool.map((doc) => ({ doc, n: cut(doc.id, uses(doc, pool, epoch)) }))
    return Array.from({ length: Math.max(0, ...times.map(({ n }) => n)) }, (_, round) => {
      const docs = times.filter(({ n }) => n > round).map(({ doc }) => doc)
      return [{ keyword: null, pieces: wholeDocuments(setting, shuffled(setting, docs, epoch, round)) }]
    })
  }
}

/** The pieces around an anchor; of neighbours, those of the documents in `first` come before others. */
type Around = (anchor: Doc, first: Doc[]) => Piece[]

/** The construction of `nextlong`, for the anchors of one epoch after another. */
function interleaver(
  { k, chunkChars, reuse }: Pick<NextLong, 'k' | 'chunkChars' | 'reuse'>,
  setting: Setting,
): (pool: Doc[]) => Around {
  const { docs, vectors, C, o } = setting
  const chunks = chunksOf(docs, chunkChars)
  const { lists } = neighboursOf(vectors, k, (i, j) => chunks[i]?.doc !== chunks[j]?.doc)
  const chunk = (number: number) => chunks[number] as (typeof chunks)[number]
  return (pool) => {
    const neighbours = new Set<number>()
    return (anchor, first) => {
      const v = virtual(setting, anchor)
      if (v >= C) return wholeDocuments(setting, [anchor])
      const own = [...chunks.entries()].filter(([, { doc }]) => doc === anchor)
      const pieces: Piece[] = []
      let size = 0
      let before = 0
      for (const [i, [number, { to }]] of own.entries()) {
        const until = i === own.length - 1 ? v : o.lead + to
        pieces.push({ doc: anchor, start: before, len: until - before })
        size += until - before
        before = until
        const target = until + Math.floor(((C - v) * (i + 1)) / own.length)
        for (const other of sortBy(lists[number] ?? [], (n) => [first.includes(chunk(n).doc) ? 0 : 1])) {
          if (size >= target) break
          const { doc, from, to: end } = chunk(other)
          const piece = { doc, start: o.lead + from, len: Math.min(end - from, target - size) }
          const taken = pieces.some((held) => clash(held, { ...piece, len: end - from }, true))
          if (!pool.includes(doc) || taken || (reuse === 'run' && neighbours.has(other))) continue
          neighbours.add(other)
          pieces.push(piece)
          size += piece.len
        }
      }
      return pieces
    }
  }
}

function nextlong(method: NextLong, setting: Setting): Rounds {
  const { cut } = counter(setting)
  const begin = interleaver(method, setting)
  let around: Around | null = null
  return aroundAnchors(setting, (anchor, pool, first) => {
    if (first || around === null) around = begin(pool)
    return cut(anchor.id, 1) < 1 ? null : around(anchor, [])
  })
}

function topics(method: Topics, setting: Setting): Rounds {
  const { docs, random, C } = setting
  const { key, order } = random
  const lists = listsOf(docs, setting.topics, method.documents, setting.match)
  const { left, cut } = counter(setting)
  const begin = method.within === 'nextlong' ? interleaver(method, setting) : null
  const room = method.sequences * C

  function documents(topic: Topic, pool: Doc[], epoch: number): Piece[] {
    const usable = (lists.get(topic) ?? []).filter((doc) => pool.includes(doc) && left(doc.id) > 0)
    const whole: Piece[] = []
    const last: Piece[] = []
    let size = 0
    for (const piece of wholeDocuments(setting, usable)) {
      if (size >= room) break
      const fits = size + piece.len <= room
      if (fits) whole.push(piece)
      else last.push({ ...piece, len: room - size })
      size += piece.len
      cut(piece.doc.id, 1)
    }
    const turned = {
      score: () => whole,
      reversed: () => whole.toReversed(),
      shuffle: () => order(whole, 'topic', turn(epoch, 0) + key(topic.name), ({ doc }) => key(doc.id)),
    }[method.order]()
    return [...turned, ...last]
  }

  return (epoch, pool) => {
    const groups: Group[] = []
    const around = begin?.(pool)
    const anchors = new Set<Doc>()
    for (const topic of order(setting.topics, 'order', turn(epoch, 0), ({ name }) => key(name))) {
      if (sum(groups.flatMap(({ pieces }) => pieces.map(({ len }) => len))) >= budget(setting, pool)) break
      const { name: keyword } = topic
      if (around === undefined) {
        groups.push({ keyword, pieces: documents(topic, pool, epoch) })
        continue
      }
      const list = lists.get(topic) ?? []
      const usable = list.filter((doc) => pool.includes(doc) && left(doc.id) > 0 && !anchors.has(doc))
      for (const anchor of usable.slice(0, method.sequences)) {
        cut(anchor.id, 1)
        anchors.add(anchor)
        groups.push({ keyword, pieces: around(anchor, list) })
      }
    }
    return [groups]
  }
}

function interleave(method: Interleave, setting: Setting): Rounds {
  const { random, C, o } = setting
  const ordered = (parts: Piece[][], epoch: number): Piece[] => {
    const most = Math.max(0, ...parts.map((own) => own.length))
    if (method.partOrder === 'turns')
      return Array.from({ length: most }, (_, i) => parts.flatMap((own) => own.slice(i, i + 1))).flat()
    const mixed = sortBy(parts.flat(), ({ doc, start }) => {
      const key = random.key(doc.id)
      return [random.draw('part', key, (BigInt(epoch) << 56n) + BigInt(start)), key, start]
    })
    if (method.partOrder === 'shuffle') return mixed
    const left = parts.map((own) => [...own])
    return mixed.map(({ doc }) => left.find((own) => own[0]?.doc === doc)?.shift() as Piece)
  }
  const runsOf = (pieces: Piece[]): Piece[][] => {
    const { groupDocuments: documents } = method
    if (documents !== null)
      return Array.from({ length: Math.ceil(pieces.length / documents) }, (_, i) =>
        pieces.slice(i * documents, (i + 1) * documents),
      )
    const groups: Piece[][] = [[]]
    let room = C
    for (let { doc, start, len } of pieces)
      while (len > 0) {
        const own = Math.min(len, room)
        groups.at(-1)?.push({ doc, start, len: own })
        start += own
        len -= own
        room -= own
        if (room === 0) {
          groups.push([])
          room = C
        }
      }
    return groups
  }
  const { cut } = counter(setting)
  return (epoch, pool) =>
    cut('all', 1) === 1
      ? [
          runsOf(wholeDocuments(setting, shuffled(setting, pool, epoch, 0))).map((runs) => ({
            keyword: null,
            pieces: ordered(
              runs.map((run) => partsOf(o, run)),
              epoch,
            ),
          })),
        ]
      : []
}
