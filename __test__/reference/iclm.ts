// The paths of In-Context Pretraining: the section "iclm" of docs/planning.md.
import { sortBy, turn } from './random.ts'
import type { Random } from './random.ts'
import type { Neighbours } from './neighbours.ts'
import type { Doc } from './types.ts'

/** Of the release: the neighbours that a step considers, the length of paths, the bound on the likeness of heads. */
const [LOOK, PATH, LIKE] = [9, 21, 0.85]

/** One path through the pool. Lists and similarities go by numbers of `docs`. */
export function pathOf(
  variant: 'paper' | 'release',
  docs: Doc[],
  pool: Doc[],
  { lists, similarity }: Neighbours,
  random: Random,
  epoch: number,
): Doc[] {
  const at = new Map(docs.map((doc, i) => [doc, i]))
  const number = (doc: Doc) => at.get(doc) as number
  const members = new Set(pool)
  /** Those of the first `most` of a document's list that are in the pool. */
  const near = (doc: Doc, most = Infinity) =>
    (lists[number(doc)] ?? [])
      .slice(0, most)
      .map((i) => docs[i] as Doc)
      .filter((other) => members.has(other))
  const shuffled = (list: Doc[]) => random.order(list, 'order', turn(epoch, 0), ({ id }) => random.key(id))
  return variant === 'paper' ? paper() : withoutLikeHeads(release())

  function paper(): Doc[] {
    const edges = new Map(pool.map((doc) => [doc, new Set<Doc>()]))
    for (const doc of pool) {
      for (const other of near(doc)) {
        edges.get(doc)?.add(other)
        edges.get(other)?.add(doc)
      }
    }
    const degree = (doc: Doc) => edges.get(doc)?.size ?? 0
    const connected = pool.filter((doc) => degree(doc) > 0)
    const starts = sortBy(connected, (doc) => [
      degree(doc),
      random.draw('order', random.key(doc.id), turn(epoch, 0)),
      random.key(doc.id),
    ])
    const path = new Set<Doc>()
    for (let from = starts[0]; from !== undefined; from = starts.find((doc) => !path.has(doc))) {
      for (let doc: Doc | undefined = from; doc !== undefined;) {
        const here: Doc = doc
        path.add(here)
        doc = sortBy(
          [...(edges.get(here) ?? [])].filter((other) => !path.has(other)),
          (other) => [-similarity(number(here), number(other)), number(other)],
        )[0]
      }
    }
    return [...path, ...shuffled(pool.filter((doc) => degree(doc) === 0))]
  }

  function release(): Doc[] {
    const visited = new Set<Doc>()
    const paths: Doc[][] = []
    for (const start of shuffled(pool)) {
      if (visited.has(start)) continue
      const path: Doc[] = []
      for (let doc: Doc | undefined = start; doc !== undefined && path.length < PATH;) {
        path.push(doc)
        visited.add(doc)
        doc = near(doc, LOOK).find((other) => !visited.has(other))
      }
      paths.push(path)
    }
    for (const path of paths) {
      if (path.length >= PATH) continue
      for (const doc of path.slice()) {
        const before = near(doc, LOOK).find((other) => !path.includes(other))
        if (before === undefined) continue
        path.splice(path.indexOf(doc), 1)
        const other = paths.find((candidate) => candidate.includes(before)) as Doc[]
        other.splice(other.indexOf(before), 0, doc)
      }
    }
    return paths.flat()
  }
}

/** A path without the documents whose heads are nearly that of the one kept before. */
function withoutLikeHeads(path: Doc[]): Doc[] {
  const kept: Doc[] = []
  for (const doc of path) {
    const last = kept.at(-1)
    if (last === undefined || !alike(runs(doc), runs(last))) kept.push(doc)
  }
  return kept
}

/** The runs of three characters of a document's head. The tokenizer of the test has no decoder: tokens are decoded with a space between them. */
function runs(doc: Doc): Set<string> {
  const head = [...doc.words.slice(0, 400).join(' ')].slice(0, 100)
  return new Set(head.slice(2).map((_, i) => head.slice(i, i + 3).join('')))
}

function alike(a: Set<string>, b: Set<string>): boolean {
  const shared = [...a].filter((run) => b.has(run)).length
  const either = a.size + b.size - shared
  return either > 0 && shared / either > LIKE
}
