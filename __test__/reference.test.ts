// The real planner against the slow one, piece by piece, on random small corpora with random options.
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LongweaveError, readSequences, weave } from '../ts/index.ts'
import { isOfParts } from './reference/arrange.ts'
import { chunksOf } from './reference/neighbours.ts'
import { offsetOf } from './reference/parts.ts'
import { referencePlan } from './reference/planner.ts'
import { b, k1 } from './reference/topics.ts'
import type { Doc, Method, Options, Sequence, Topic } from './reference/types.ts'
import { folder, full, inLines, lineTokenizer, randomCorpus, randomNumbers, writeJsonl, writeNpy } from './support.ts'

const directory = folder()
const tokenizer = lineTokenizer(directory)
const rounds = full ? 1200 : 150

type Random = () => number
const pick = <T>(random: Random, list: readonly T[]) => list[Math.floor(random() * list.length)] as T
const whole = (random: Random, least: number, most: number) => least + Math.floor(random() * (most - least + 1))

function randomMethod(random: Random): Method {
  const pool = pick(random, ['keyworded', 'all'] as const)
  const fill = pick(random, ['next', 'next', 'drop', 'pad'] as const)
  const methods: (() => Method)[] = [
    () => ({
      name: 'quest',
      pool,
      splitRatio: random(),
      splitBy: pick(random, ['keywords', 'documents', 'tokens']),
      oversample: 1 + 3 * random(),
      shortShare: pick(random, [null, null, 0.05 + 0.6 * random()]),
      minKeywordDocuments: whole(random, 1, 3),
      fill: pick(random, [fill, 'related', 'related']),
    }),
    () => ({ name: 'standard', pool, fill }),
    () => ({ name: 'knn', pool, k: pick(random, [1, 2, 3, whole(random, 4, 12)]), fill }),
    () => ({
      name: 'iclm',
      pool,
      k: whole(random, 1, 12),
      variant: pick(random, ['paper', 'release', 'release']),
      fill,
    }),
    () => ({
      name: 'long',
      pool,
      threshold: whole(random, 2, 40),
      mode: pick(random, ['filter', 'upsample', 'upsample', 'upsample']),
      longShare: pick(random, [0.02 + 0.9 * random(), 0.8, 0.95]),
      fill,
    }),
    () => ({
      name: 'nextlong',
      pool,
      k: pick(random, [1, 2, 3, whole(random, 4, 20)]),
      chunkChars: whole(random, 4, 12),
      reuse: pick(random, ['sequence', 'run']),
      fill,
    }),
    () => ({
      name: 'topics',
      pool,
      documents: pick(random, [1, 3, 20]),
      order: pick(random, ['shuffle', 'score', 'reversed']),
      sequences: pick(random, [1, 2, 4]),
      within: pick(random, ['documents', 'documents', 'nextlong']),
      k: whole(random, 1, 12),
      chunkChars: whole(random, 4, 12),
      reuse: pick(random, ['sequence', 'run']),
      fill,
    }),
    () => ({
      name: 'interleave',
      pool,
      groupDocuments: pick(random, [null, null, whole(random, 1, 6)]),
      parts: whole(random, 1, 6),
      partTokens: pick(random, [null, null, whole(random, 1, 20)]),
      partEnd: pick(random, [0, 0, 1, 2]),
      partBegin: pick(random, [0, 0, 1, 2]),
      partOrder: pick(random, ['turns', 'shuffle', 'shuffleInOrder']),
      fill,
    }),
  ]
  return pick(
    random,
    [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 6, 7, 7].map((i) => methods[i] as () => Method),
  )()
}

function randomOptions(random: Random): Options {
  const method = randomMethod(random)
  const length = whole(random, 2, 80)
  const bos = pick(random, ['none', 'sequence', 'document'])
  return {
    method,
    length,
    lead: bos === 'document' ? 1 : 0,
    sep: whole(random, 0, 2),
    sequenceBos: bos === 'sequence',
    overflow: pick(random, ['split', 'truncate', 'whole']),
    incomplete: pick(random, ['drop', 'pad']),
    tokens: pick(random, [null, null, whole(random, 1, 4000)]),
    seed: Math.floor(random() * 2 ** 40),
    maxUses: pick(random, [null, null, 1, 2, 3]),
    minTokens: pick(random, [1, 1, 3]),
    maxTokens: pick(random, [null, null, 30]),
    holdout: pick(random, [0, 0, 0, 0.3]),
    dedup: pick(random, ['none', 'none', 'exact', 'near']),
    keep: pick(random, ['longest', 'first']),
    sources: pick(random, [null, null, { books: random(), mail: pick(random, [0, random()]), wiki: 0.5 }]),
    lengths: pick(random, [
      [],
      [],
      [
        { length, share: 1 + random() },
        { length: length + 7, share: random() },
        { length: length + 1, share: 1 },
      ],
    ]),
  }
}

interface Row {
  id: string
  text: string
  query: string[]
  source: string
}

/** Documents of up to three sources; some begin like an earlier one, or are the same, so that heads and duplicates meet. */
function corpusOf(random: Random, documents: number, most: number): Row[] {
  const sources = ['books', 'mail', 'wiki'].slice(0, whole(random, 1, 3))
  const rows: Row[] = []
  for (const { id, text, query } of randomCorpus(Math.floor(random() * 2 ** 32), documents, most)) {
    const words = text.split(' ')
    if (rows.length > 0 && random() < 0.3) {
      const like = pick(random, rows).text.split(' ')
      words.splice(0, random() < 0.5 ? words.length : like.length, ...like)
      if (random() < 0.3) words[whole(random, 0, words.length - 1)] = `w${whole(random, 0, 79)}`
    }
    rows.push({ id, text: inLines(words.join(' ').replaceAll('\n', '')), query, source: pick(random, sources) })
  }
  return rows
}

/**
 * Vectors of whole numbers (many ties), of real numbers, or near one of two directions, most near the first (what lies on it is in many
 * lists). Some are like an earlier one, zero, or not finite.
 */
function randomVectors(random: Random, rows: number): Float32Array[] {
  const components = pick(random, [2, 4, 6, 16])
  const kind = pick(random, ['whole', 'real', 'near', 'near'] as const)
  const vectors: Float32Array[] = []
  for (let i = 0; i < rows; i += 1) {
    const other = random() < 0.1
    const component = {
      whole: () => whole(random, -1, 2),
      real: () => random() - 0.4,
      near: (_: unknown, at: number) => (other && at % 2 === 1 ? -1 : 1) + (i < 3 ? 0 : random() - 0.5),
    }[kind]
    const luck = random()
    const like = vectors[i - 1 - Math.floor(random() * 3)]
    const vector =
      luck < 0.2 && like !== undefined
        ? Float32Array.from(like)
        : Float32Array.from({ length: components }, luck > 0.95 ? () => 0 : component)
    if (luck > 0.2 && luck < 0.22) vector[whole(random, 0, components - 1)] = pick(random, [Infinity, -Infinity, NaN])
    vectors.push(vector)
  }
  return vectors
}

/** Topics whose queries have one to three words of the corpus, some of them twice, some of none. */
function randomTopics(random: Random): Topic[] {
  return Array.from({ length: whole(random, 1, 12) }, (_, i) => {
    const words = Array.from({ length: whole(random, 1, 3) }, () => `w${whole(random, 0, 105)}`)
    const query = pick(random, [words, words, [...words, ...words.slice(0, 1)]]).join(' ')
    return { name: `topic ${i}`, query }
  })
}

/** Whether no document of the pool is of a source with a weight. */
const isOfPool = (error: unknown) =>
  error instanceof LongweaveError && error.message.includes('the pool has no document of it')

/** A marker of that number of tokens. */
const marker = (tokens: number) => (['none', 'text:w3', 'text:w4 w5'] as const)[tokens] ?? 'none'

/** Both plans of one corpus; how many sequences agree. */
async function compare(
  name: string,
  given: Options,
  corpus: Row[],
  vectorsOf: (rows: number) => Float32Array[],
  topics: Topic[] = [],
): Promise<number> {
  // Weights of sources that the corpus has.
  const present = Object.entries(given.sources ?? {}).filter(([weighed]) =>
    corpus.some(({ source }) => source === weighed),
  )
  const options = {
    ...given,
    sources: present.some(([, weight]) => weight > 0) ? Object.fromEntries(present) : null,
  }
  const { method, lead, sep, sequenceBos, keep, sources, lengths, ...others } = options
  const docs: Doc[] = corpus.map(({ id, text, query, source }) => ({
    id,
    words: text.split(' '),
    keyword: query[0] ?? null,
    source,
  }))
  const ofChunks = isOfParts(method)
  const match = options.seed % 3 === 0 ? 'all' : 'any'
  const vectors = vectorsOf(ofChunks && 'chunkChars' in method ? chunksOf(docs, method.chunkChars).length : docs.length)
  const path = (kind: string) => join(directory, `${name}-${kind}`)
  const out = path('out')
  const run = weave({
    corpus: writeJsonl(path('corpus.jsonl'), corpus),
    idField: 'id',
    queryField: 'query',
    sourceField: 'source',
    tokenizer,
    queries: { predictor: 'precomputed' },
    keywords: { boilerplate: 'none', hierarchy: 'suffix' },
    ...(ofChunks || ['knn', 'iclm'].includes(method.name)
      ? { vectors: { source: 'file', file: writeNpy(path('vectors.npy'), vectors) }, neighbours: { search: 'exact' } }
      : {}),
    topics: topicsOption(path('topics.jsonl'), topics, match),
    method:
      method.name === 'interleave'
        ? { ...method, partEnd: marker(method.partEnd), partBegin: marker(method.partBegin) }
        : method,
    ...others,
    // Near are texts with the same words: of as many hashes, others do not share all.
    near: { threshold: 1, words: 1, hashes: 1024, keep },
    ...(sources === null ? {} : { sources }),
    lengths,
    bos: lead === 1 ? 'document' : sequenceBos ? 'sequence' : 'none',
    separator: (['none', 'auto', 'text:w1 w2'] as const)[sep] ?? 'none',
    output: { directory: out, format: 'jsonl' },
    threads: 1,
  })
  const told = `${name}: ${JSON.stringify(options)}`
  const asText = (sequences: Sequence[]) =>
    sequences.map(({ pieces }) => pieces.map((piece) => `${piece.doc.id}@${offsetOf(options, piece)}+${piece.len}`))
  const expected = asText(await referencePlan(docs, options, vectors, topics, match))
  try {
    await run.finished
  } catch (error) {
    if (isOfPool(error)) return 0
    if (!(error instanceof LongweaveError && ['PLAN_EMPTY', 'NO_KEYWORDS'].includes(error.code))) throw error
    expect(expected, told).toEqual([])
    return 0
  }
  expect(await written(out), told).toEqual(expected)
  const held = join(out, 'holdout')
  if (options.holdout > 0)
    expect(existsSync(held) ? await written(held) : [], told).toEqual(
      asText(await referencePlan(docs, options, vectors, topics, match, 'holdout')),
    )
  await rm(out, { recursive: true })
  return expected.length
}

const topicsOption = (path: string, list: Topic[], match: 'all' | 'any') =>
  list.length === 0
    ? {}
    : {
        source: 'file' as const,
        file: writeJsonl(
          path,
          list.map(({ name, query }) => ({ topic: name, query })),
        ),
        match,
        k1,
        b,
      }

/** Works on some seeds at a time: runs wait for the disk more than they compute. */
async function each(seeds: number, work: (seed: number) => Promise<void>): Promise<void> {
  const left = Array.from({ length: seeds }, (_, seed) => seed)
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let seed = left.shift(); seed !== undefined; seed = left.shift()) await work(seed)
    }),
  )
}

async function written(output: string): Promise<string[][]> {
  const found: string[][] = []
  for await (const { pieces } of readSequences(output))
    found.push(pieces.map(({ docId, docOffset, length }) => `${docId}@${docOffset}+${length}`))
  return found
}

test(`plans agree with the reference planner on ${rounds} random corpora`, async () => {
  const compared = new Map<string, number>()
  await each(rounds, async (seed) => {
    const random = randomNumbers(seed * 7919 + 1)
    const options = randomOptions(random)
    const { name } = options.method
    // Now and then many short documents, so that uses, lists and paths grow longer.
    const corpus =
      !isOfParts(options.method) && seed % 8 === 0
        ? corpusOf(random, 120, 5)
        : corpusOf(random, whole(random, 5, pick(random, [10, 55])), 40)
    const topics = name === 'topics' ? randomTopics(random) : []
    const agree = await compare(`${seed}`, options, corpus, (n) => randomVectors(random, n), topics)
    compared.set(name, (compared.get(name) ?? 0) + agree)
  })
  expect(compared.size).toBe(8)
  expect(Math.min(...compared.values())).toBeGreaterThan(rounds / 2)
})

test(`plans agree where most groups share a document, so that the queue of units that were put off grows long, on ${rounds / 15} corpora`, async () => {
  let compared = 0
  await each(rounds / 15, async (seed) => {
    const random = randomNumbers(seed * 7919 + 2)
    const overflow = pick(random, ['split', 'truncate', 'split', 'whole'] as const)
    const options: Options = {
      ...randomOptions(random),
      method: { name: 'knn', pool: 'all', k: whole(random, 1, 3), fill: 'next' },
      overflow,
      length: whole(random, 20, 60),
      tokens: 8000,
      maxUses: pick(random, [null, 100]),
      minTokens: 1,
      maxTokens: null,
      holdout: 0,
      lengths: [],
    }
    // The first document is the nearest of most others, the second of few: in many directions noise has little in common.
    const share = pick(random, [0.8, 0.95, 0.98])
    const vectorsOf = (n: number) =>
      Array.from({ length: n }, (_, i) => {
        const near = i < 2 ? i : random() < share ? 0 : 1
        return Float32Array.from({ length: 64 }, (_component, at) =>
          at === near ? 1 : i < 2 || at < 2 ? 0 : 0.2 * (random() - 0.5),
        )
      })
    const agree = await compare(`queue-${seed}`, options, corpusOf(random, whole(random, 120, 200), 4), vectorsOf)
    compared += agree
  })
  expect(compared).toBeGreaterThan(rounds)
})
