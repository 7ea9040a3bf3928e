// The same bytes, whatever the number of threads, the packing of the corpus, or the way in which the documents come.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunOptions } from '../ts/index.ts'
import {
  dataOf,
  filesOf,
  finished,
  folder,
  gzip,
  jsonl,
  parquet,
  plain,
  randomCorpus,
  readColumns,
  states,
  wordTokenizer,
  zstd,
} from './support.ts'

const directory = folder()
const tokenizer = wordTokenizer(directory)
const documents = randomCorpus(3, 400, 60)
const bytes = jsonl(documents)
const out = (name: string) => join(directory, name)
const methods: Record<string, RunOptions['method']> = {
  quest: { name: 'quest', fill: 'related', oversample: 2.5 },
  standard: 'standard',
  knn: { name: 'knn', k: 6 },
  nextlong: { name: 'nextlong', k: 9, chunkChars: 60 },
  topics: { name: 'topics', documents: 60, sequences: 2 },
  interleave: { name: 'interleave', partOrder: 'shuffle' },
}
type Output = NonNullable<RunOptions['output']>

/** A file in a folder of its own, so that its path says nothing. */
function corpusFile(folderName: string, name: string, content: Buffer): string {
  mkdirSync(out(folderName), { recursive: true })
  writeFileSync(join(out(folderName), name), content)
  return join(out(folderName), name)
}
const corpus = corpusFile('plain', 'a.jsonl', bytes)
const list = out('topics.txt')
writeFileSync(list, Array.from({ length: 24 }, (_, i) => `w${4 * i} w${4 * i + 1}\n`).join(''))
const topics = { source: 'file', file: list, match: 'any' } as const
const base = { ...plain, corpus, tokenizer, length: 128, holdout: 0.1, topics } as const

/** Weaves with 1, 2 and 7 threads into outputs, and compares all files of each. */
async function expectSameForAnyThreads(method: string, outputs: Output[]): Promise<void> {
  for (const [i, chosen] of outputs.entries()) {
    const made: Record<string, string>[] = []
    for (const threads of [1, 2, 7]) {
      const to = out(`${method}-${chosen.format}-${i}-${threads}`)
      await finished({
        ...base,
        method: methods[method],
        threads,
        splitBytes: 7000,
        output: { ...chosen, directory: to, shardTokens: 128 * 11 },
      })
      made.push(filesOf(to))
    }
    expect(Object.keys(made[0] ?? {})).toContain('holdout/longweave.json')
    expect(Object.keys(made[0] ?? {}).length).toBeGreaterThan(10)
    expect(made[1]).toEqual(made[0])
    expect(made[2]).toEqual(made[0])
  }
}

test.each(Object.keys(methods))('%s: 1, 2 and 7 threads give the same files, manifest and checksums too', (method) =>
  expectSameForAnyThreads(method, [{ format: 'parquet' }, { format: 'mds' }, { format: 'jsonl' }]),
)

test('so do they in the other formats and layouts', () =>
  expectSameForAnyThreads('standard', [
    { format: 'megatron' },
    { format: 'datatrove' },
    { format: 'numpy', columns: ['label_mask'] },
    { format: 'datasets', columns: ['seq_lengths', 'position_ids', 'attention_mask', 'labels', 'label_mask'] },
    { format: 'litdata' },
    { format: 'parquet', columns: ['position_ids', 'labels'] },
    { format: 'mds', compression: 'zstd', mdsShardBytes: 2000 },
  ]))

/** The documents of `corpus` in other files. */
function otherCorpora(): Record<string, RunOptions['corpus']> {
  const queries = documents.map(({ query }) => query[0] ?? null)
  const columns = { id: documents.map(({ id }) => id), text: documents.map(({ text }) => text), query: queries }
  return {
    gzip: corpusFile('gzip', 'a.jsonl.gz', gzip(bytes)),
    members: corpusFile('members', 'a.jsonl.gz', gzip(bytes, 5)),
    zstd: corpusFile('zstd', 'a.jsonl.zst', zstd(bytes)),
    frames: corpusFile('frames', 'a.jsonl.zst', zstd(bytes, 7)),
    parquet: corpusFile('parquet', 'a.parquet', parquet(columns)),
    globs: join(out('plain'), '*.json?'),
    folder: out('plain'),
    pieces: [
      corpusFile('pieces', 'a.jsonl', jsonl(documents.slice(0, 150))),
      corpusFile('pieces', 'b.jsonl.gz', gzip(jsonl(documents.slice(150)))),
    ],
  }
}

test.each(Object.entries(methods))(
  '%s: the corpus may be plain, gzip, Zstandard or Parquet, in one piece or several: the same sequences',
  async (method, given) => {
    await finished({ ...base, method: given, output: { directory: out(`from-${method}`) } })
    const expected = dataOf(out(`from-${method}`))
    expect(Object.keys(expected)).toContain('00000.parquet')
    for (const [name, path] of Object.entries(otherCorpora())) {
      const to = out(`from-${method}-${name}`)
      await finished({ ...base, corpus: path, method: given, output: { directory: to } })
      expect(dataOf(to), name).toEqual(expected)
    }
  },
)

test.each(Object.entries(methods))(
  '%s: documents from an async iterable give the bytes that the same in a file give',
  async (method, given) => {
    const rows = documents.map(({ id, text, query }, i) => ({ id, text, queries: query, source: `source ${i % 3}` }))
    async function* come() {
      for (const row of rows) yield row
    }
    const fields = { sourceField: 'source', queryField: 'queries' }
    const [pushed, read] = [out(`pushed-${method}`), out(`read-${method}`)]
    await finished({ ...base, ...fields, corpus: come(), method: given, output: { directory: pushed } })
    const file = corpusFile('rows', 'a.jsonl', jsonl(rows))
    await finished({ ...base, ...fields, corpus: file, method: given, output: { directory: read } })
    expect(dataOf(pushed)).toEqual(dataOf(read))
  },
)

test('another seed gives other sequences of the same documents', async () => {
  for (const seed of [0, 1])
    await finished({ ...base, seed, method: 'standard', output: { directory: out(`seed-${seed}`) } })
  expect(filesOf(out('seed-0'))['00000.parquet']).not.toEqual(filesOf(out('seed-1'))['00000.parquet'])
})

test('adding a file changes no draw: the documents that were there keep their order', async () => {
  const more = corpusFile(
    'more',
    'b.jsonl',
    jsonl(documents.slice(0, 40).map(({ id, ...rest }) => ({ id: `more-${id}`, ...rest }))),
  )
  const orders: string[][] = []
  for (const [i, files] of [[corpus], [corpus, more]].entries()) {
    const to = out(`more-${i}`)
    await finished({
      ...base,
      holdout: 0,
      corpus: files,
      length: 50_000,
      incomplete: 'pad',
      method: 'standard',
      output: { directory: to },
    })
    const ids = (await readColumns(to)).flatMap(({ docIds }) => docIds)
    expect(ids.length).toBe(400 + 40 * i)
    orders.push(ids.filter((id) => !id.startsWith('more-')))
  }
  expect(orders[1]).toEqual(orders[0])
})

test('a second length, method or seed in the same work directory reuses what it can', async () => {
  const work = out('work')
  const run = async (name: string, more: Partial<RunOptions>) => {
    const { events } = await finished({ ...base, work, ...more, output: { directory: out(`work-${name}`) } })
    return states(events)
  }
  const first = await run('first', {})
  expect(new Set(Object.values(first))).toEqual(new Set(['done']))
  const reused = { scan: 'reused', ingest: 'reused', documents: 'reused', predict: 'reused', extract: 'reused' }
  expect(await run('length', { length: 64 })).toMatchObject({ ...reused, index: 'reused', plan: 'done', pack: 'done' })
  expect(await run('seed', { seed: 5 })).toMatchObject({ ...reused, index: 'reused', plan: 'done' })
  expect(await run('random', { keywords: { ...plain.keywords, representative: 'random' } })).toMatchObject({
    ...reused,
    index: 'done',
    plan: 'done',
  })
  expect(await run('words', { keywords: { ...plain.keywords, boilerplatePhrases: ['chess player'] } })).toMatchObject({
    ...reused,
    index: 'done',
  })
  expect(await run('method', { method: 'standard' })).toMatchObject({
    scan: 'reused',
    ingest: 'reused',
    documents: 'reused',
    plan: 'done',
  })
  expect(await run('again', {})).toMatchObject({ ...reused, index: 'reused', plan: 'reused', pack: 'done' })
  expect(filesOf(out('work-again'))).toEqual(filesOf(out('work-first')))
  expect(await run('first', {})).toMatchObject({ pack: 'reused', seal: 'reused' })
})
