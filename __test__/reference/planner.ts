// A slow, plain planner, written from docs/planning.md alone, to compare the real one with.
import { arrange } from './arrange.ts'
import { roundsOf } from './methods.ts'
import { ofLength, ownTokens, usesOf } from './mix.ts'
import { happens, randomOf, sortBy, turn } from './random.ts'
import type { Doc, Options, Piece, Sequence, Topic } from './types.ts'

interface Tail {
  unit: Piece[]
  keyword: string | null
  key: bigint
}

const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const text = ({ words }: Doc) => words.join(' ')
/** Texts are near with a Jaccard index of 1 of their words: where they have the same ones. A text that has no words is near none. */
const feature = (doc: Doc) => {
  const words = new Set(doc.words.map((word) => word.trim()).filter((word) => word !== ''))
  return words.size === 0 ? doc.id : [...words].toSorted(compare).join(' ')
}
const parent = (phrase: string) => (phrase.includes(' ') ? phrase.slice(phrase.indexOf(' ') + 1) : null)

const virtual = (pieces: Piece[]) => pieces.reduce((sum, { len }) => sum + len, 0)

/** The plan of the documents that are not held out, or of those that are. Row i of `vectors` belongs to document i, where chunks have vectors to chunk i. */
export async function referencePlan(
  docs: Doc[],
  given: Options,
  vectors: Float32Array[] = [],
  topics: Topic[] = [],
  match: 'all' | 'any' = 'all',
  part: 'main' | 'holdout' = 'main',
): Promise<Sequence[]> {
  const o = { ...given, tokens: ownTokens(given) }
  const random = await randomOf(o.seed)
  const { key, draw, order } = random
  const C = o.length - (o.sequenceBos ? 1 : 0)

  const able = docs.filter(
    ({ words, keyword, source }) =>
      words.length >= Math.max(1, o.minTokens) &&
      (o.maxTokens === null || words.length <= o.maxTokens) &&
      (o.method.pool === 'all' || keyword !== null) &&
      (o.sources === null || (o.sources[source] ?? 0) > 0),
  )
  const different = able.filter((doc) => o.dedup === 'none' || able.find((other) => text(other) === text(doc)) === doc)
  const before = (a: Doc, b: Doc) => o.keep === 'longest' && a.words.length > b.words.length
  const kept = different.filter(
    (doc, i) =>
      o.dedup !== 'near' ||
      different.every(
        (other, j) => i === j || feature(other) !== feature(doc) || (j < i ? before(doc, other) : !before(other, doc)),
      ),
  )
  const ofPart = kept.filter(({ id }) => happens(draw('holdout', key(id), 0), o.holdout) === (part === 'holdout'))
  const pool = ofPart.filter(({ id, keyword }) =>
    ofLength(o, draw('length', key(o.method.name === 'quest' ? (keyword ?? id) : id), 0)),
  )
  const keywords = [...new Set(docs.flatMap((d) => d.keyword ?? []))].toSorted(compare)

  const children = new Map<string, Set<string>>()
  for (const k of keywords)
    for (let p: string = k, up = parent(p); up !== null; p = up, up = parent(p))
      children.set(up, (children.get(up) ?? new Set()).add(p))
  const nodes = [...new Set([...keywords, ...[...children].filter(([, c]) => c.size > 1).map(([p]) => p)])].toSorted(
    compare,
  )
  const parentNode = (phrase: string) => {
    let up = parent(phrase)
    while (up !== null && !nodes.includes(up)) up = parent(up)
    return up
  }

  let finished: Sequence[] = []
  let epoch = 0
  let round = 0
  const finish = (pieces: Piece[], rule: string) => finished.push({ pieces, rule, epoch, round })
  const end = (open: Piece[]) => {
    if (open.length > 0 && o.incomplete === 'pad') finish(open, 'last')
  }
  const lay = (units: Piece[][], open: Piece[], rule: string) =>
    arrange(units, open, rule, C, o, { docIdOf: ({ doc }) => docs.indexOf(doc), finish, end })
  const ordered = (tails: Tail[]) => order(tails, 'tail', turn(epoch, round), (t) => t.key)
  const related = (tails: Tail[]): Tail[] => {
    const left = tails.filter((t) => t.keyword === null)
    const visit = (node: string): Tail | null => {
      const below = nodes
        .filter((n) => parentNode(n) === node)
        .map(visit)
        .filter((t) => t !== null)
      const own = tails.filter((t) => t.keyword === node)
      const units = [...own, ...ordered(below)].map((t) => t.unit)
      const unit = units.length > 1 ? lay(units, [], 'related') : (units[0] ?? [])
      return unit.length > 0 ? { unit, keyword: null, key: key(node) } : null
    }
    for (const root of nodes.filter((n) => parentNode(n) === null)) {
      const tail = visit(root)
      if (tail !== null) left.push(tail)
    }
    return left
  }

  const wanted = o.tokens === null ? null : Math.ceil(o.tokens / o.length)
  const uses = usesOf(o, pool, random)
  const rounds = roundsOf({ docs, keywords, vectors, topics, match, random, C, o })
  const all: Sequence[] = []
  let open: Piece[] = []
  for (;;) {
    finished = []
    if (o.sources === null) open = []
    const carried = virtual(open)
    const now = epoch
    const mixed = pool.filter((doc) => uses(doc, now))
    for (const [r, groups] of rounds(epoch, mixed).entries()) {
      round = r
      const tails: Tail[] = []
      for (const { keyword, pieces } of groups) {
        const [first] = pieces
        if (first === undefined) continue
        const unit = lay(
          pieces.map((piece) => [piece]),
          [],
          'group',
        )
        if (unit.length > 0) tails.push({ unit, keyword, key: key(keyword ?? first.doc.id) })
      }
      if (o.method.fill === 'drop') continue
      if (o.method.fill === 'pad') for (const { unit } of tails) finish(unit, 'pad')
      else
        open = lay(
          ordered(o.method.fill === 'related' ? related(tails) : tails).map((t) => t.unit),
          open,
          'next',
        )
    }
    const enough = () => wanted === null || all.length + finished.length >= wanted
    if (o.sources === null) end(open)
    const done = enough() || (finished.length === 0 && (o.sources === null || virtual(open) <= carried))
    if (done && o.sources !== null) end(open)
    all.push(
      ...sortBy(finished, (s) => {
        const first = s.pieces[0] as Piece
        const k = key(first.doc.id)
        return [draw('sequence', k, (BigInt(s.epoch) << 56n) + (BigInt(s.round) << 32n) + BigInt(first.start)), k]
      }),
    )
    epoch += 1
    round = 0
    if (done) break
  }
  return wanted === null ? all : all.slice(0, wanted)
}
