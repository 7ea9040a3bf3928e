// The public API as a user meets it: from documents to sequences and back.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  LongweaveError,
  QueryPredictor,
  Rake,
  optionsJsonSchema,
  plan,
  openOutput,
  presets,
  readSequences,
  resolveOptions,
  verify,
  weave,
  weaveLengths,
  show,
} from '../ts/index.ts'
import type { RunOptions, RunReport } from '../ts/index.ts'
import {
  all,
  asData,
  asColumns,
  failure,
  filesOf,
  finished,
  folder,
  plain,
  randomCorpus,
  readColumns,
  states,
  topKeywords,
  trainTokenizer,
  wordTokenizer,
  writeJsonl,
} from './support.ts'
import type { Columns, TestDocument } from './support.ts'

const directory = folder()
const tokenizer = wordTokenizer(directory)
const documents = randomCorpus(1, 60, 40)
const corpus = writeJsonl(join(directory, 'corpus.jsonl'), documents)
const out = (name: string) => join(directory, name)
const base = { ...plain, corpus, tokenizer, length: 32 } as const
/** A run into a directory of that name. */
const weaveTo = (name: string, { output, ...more }: Partial<RunOptions> = {}) =>
  finished({ ...base, ...more, output: { directory: out(name), ...output } })
const formats = ['parquet', 'mds', 'megatron', 'datatrove', 'numpy', 'datasets', 'litdata', 'jsonl'] as const
/** Formats whose files can be compressed. */
const packed = new Set<string>(['parquet', 'mds', 'jsonl'])

/** Ids of special tokens of the word tokenizer. */
const END = 0
const PAD = 1
const BEGIN = 102
const separators = { auto: [END], none: [], 'text:w1 w2': [3, 4], 'token:<unk>': [103] } as const

/** Ids of a text of the word tokenizer's words. */
const words = (text: string) => text.split(' ').map((word) => Number(word.slice(1)) + 2)

/** Checks that each sequence is what its provenance says, token for token, read from the documents themselves. */
function expectRebuilt(
  sequences: Columns[],
  docs: TestDocument[],
  policies: { length: number; separator: keyof typeof separators; bos: string },
): void {
  const { length, separator, bos } = policies
  const lead = bos === 'document' ? 1 : 0
  const texts = new Map(
    docs.map(({ id, text }) => [id, [...(lead === 1 ? [BEGIN] : []), ...words(text), ...separators[separator]]]),
  )
  for (const sequence of sequences) {
    const expected = bos === 'sequence' ? [BEGIN] : []
    for (const [i, id] of sequence.docIds.entries()) {
      expect(sequence.starts[i]).toBe(expected.length)
      const offset = sequence.docOffsets[i] ?? Number.NaN
      // A document's begin token does not belong to the document: the piece before its first token has the offset 0 as well.
      const start = offset === 0 && sequence.inputIds[expected.length] === BEGIN ? 0 : offset + lead
      expected.push(...(texts.get(id)?.slice(start, start + (sequence.lengths[i] ?? 0)) ?? []))
    }
    expect(sequence.tokenCount).toBe(expected.length)
    while (expected.length < length) expected.push(PAD)
    expect([...sequence.inputIds]).toEqual(expected)
  }
}

const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length
/** Ids of the documents of an output. */
const idsOf = async (path: string) => new Set((await readColumns(path)).flatMap(({ docIds }) => docIds))

test('Quest weaves documents of one keyword together, and says so in events, summary and sequences', async () => {
  const { events, summary } = await weaveTo('quest', { method: { name: 'quest', fill: 'pad' } })
  expect(states(events)).toEqual(
    Object.fromEntries(
      ['scan', 'ingest', 'documents', 'predict', 'extract', 'index', 'plan', 'report', 'route', 'pack', 'seal'].map(
        (s) => [s, 'done'],
      ),
    ),
  )
  const sequences = await readColumns(out('quest'))
  const keyword = new Map(documents.map(({ id, query }) => [id, query[0] ?? null]))
  for (const { docIds, reasons, groups } of sequences) {
    expect(new Set(groups).size).toBe(1)
    expect(new Set(docIds).size).toBe(docIds.length)
    expect(reasons).toEqual(docIds.map((id) => keyword.get(id)))
  }
  expect(summary.method).toBe('quest')
  expect(summary.plan?.sequences).toBe(sequences.length)
  expect(summary.shares?.singleKeyword).toBe(1)
  expect(summary.corpus).toMatchObject({ files: 1, rows: 60, documents: 60, empty: 0, rejected: 0 })
  expect(summary.corpus?.tokens).toBe(documents.reduce((sum, { text }) => sum + text.split(' ').length, 0))
  expect(await verify(out('quest'))).toMatchObject({ sequences: sequences.length, tokens: 32 * sequences.length })
})

test('the diagnostics are those of the sequences that were written', async () => {
  const rows = documents.map((document, i) => ({ ...document, source: `s${i % 3}` }))
  const corpusPath = writeJsonl(join(directory, 'sources.jsonl'), rows)
  const { summary } = await finished({
    ...plain,
    corpus: corpusPath,
    sourceField: 'source',
    tokenizer,
    method: { name: 'knn', k: 4 },
    length: 64,
    output: { directory: out('diagnosed') },
  })
  const report = JSON.parse(readFileSync(join(out('diagnosed'), 'report.json'), 'utf8')) as RunReport
  const sequences = await readColumns(out('diagnosed'))
  const lengths = new Map(rows.map(({ id, text }) => [id, text.split(' ').length]))
  const own = (i: number, sequence: Columns) =>
    Math.min(sequence.lengths[i] ?? 0, (lengths.get(sequence.docIds[i] ?? '') ?? 0) - (sequence.docOffsets[i] ?? 0))
  const cut = sequences.flatMap((s) => s.docIds.map((id, i) => own(i, s) < (lengths.get(id) ?? 0)))
  expect(report).toMatchObject({
    format: 2,
    method: 'knn',
    length: 64,
    sequences: sequences.length,
    pieces: { total: cut.length, cut: cut.filter(Boolean).length },
  })
  expect(report.documentsPerSequence.mean).toBeCloseTo(mean(sequences.map(({ docIds }) => new Set(docIds).size)), 9)
  const tokens: Record<string, number> = { s0: 0, s1: 0, s2: 0 }
  for (const s of sequences)
    for (const [i, id] of s.docIds.entries())
      tokens[rows.find((row) => row.id === id)?.source ?? ''] =
        (tokens[rows.find((row) => row.id === id)?.source ?? ''] ?? 0) + own(i, s)
  expect(report.sources).toMatchObject({ names: ['s0', 's1', 's2'], output: Object.values(tokens) })
  // Fewer sequences than the sample has: all of them were measured.
  expect(report.sample.sequences).toBe(sequences.length)
  const distinct = [1, 2, 3, 4].map((n) =>
    mean(
      sequences.map(({ inputIds }) => {
        const runs = Array.from({ length: inputIds.length - n + 1 }, (_, i) => inputIds.slice(i, i + n).join())
        return new Set(runs).size / runs.length
      }),
    ),
  )
  for (const [i, value] of distinct.entries())
    expect(report.sample.distinct[i], `distinct-${i + 1}`).toBeCloseTo(value, 9)
  expect(summary.sample).toEqual({
    sequences: sequences.length,
    similarity: report.sample.similarity.mean,
    nearDuplicates: report.sample.nearDuplicates.mean,
    distinct: report.sample.distinct,
    divergence: report.sources?.divergence,
  })
  expect(summary.sample?.similarity).toBeGreaterThan(0)
  expect(
    report.browse
      .flatMap(({ pieces }) => pieces)
      .every(
        ({ docId, text, textCut }) => textCut || (rows.find((row) => row.id === docId)?.text ?? '').includes(text),
      ),
  ).toBe(true)
})

test('neighbours that do not fill a sequence are warned of, and documents that are near to an anchor name it', async () => {
  const method = { name: 'knn', k: 2 } as const
  const { summary } = await weaveTo('few', { method, length: 512, incomplete: 'pad' })
  expect(summary.warnings.join()).toMatch(/2 neighbours do not fill 512 tokens.*`method.k`/)
  expect(summary.neighbours).toMatchObject({ search: 'exact', k: 2, recall: null })
  expect(summary.vectors).toMatchObject({ source: 'tfidf', devices: [], dimensions: 256 })
  const enough = await weaveTo('enough', { method, length: 8 })
  expect(enough.summary.warnings.join()).not.toContain('`method.k`')
  for (const { docIds, reasons, groups } of await readColumns(out('few'))) {
    for (const [i, id] of docIds.entries()) {
      const anchor = reasons[i] ?? id
      // All pieces of a group have one anchor; it comes first where its group is not cut.
      expect(groups.every((group, j) => group !== groups[i] || (reasons[j] ?? docIds[j]) === anchor)).toBe(true)
    }
  }
  expect((await show(out('enough'), 0, { why: true })).why?.text).toContain(
    'one group filled the sequence. Each document is followed by its nearest neighbours',
  )
})

test('Standard uses every document once, in one random order, and no keywords', async () => {
  const { events, summary } = await weaveTo('standard', { method: 'standard', incomplete: 'pad' })
  expect(Object.keys(states(events))).toEqual([
    'scan',
    'ingest',
    'documents',
    'plan',
    'report',
    'route',
    'pack',
    'seal',
  ])
  const sequences = await readColumns(out('standard'))
  const pieces = sequences.flatMap(({ docIds, lengths, docOffsets }) =>
    docIds.map((id, i) => ({ id, offset: docOffsets[i] ?? 0, len: lengths[i] ?? 0 })),
  )
  for (const { id, text } of documents) {
    const own = pieces.filter((piece) => piece.id === id).toSorted((a, b) => a.offset - b.offset)
    expect(own.reduce((sum, { len }) => sum + len, 0)).toBe(text.split(' ').length + 1)
  }
  expect(sequences.flatMap(({ reasons }) => reasons).every((reason) => reason === null)).toBe(true)
  expect(summary.keywords).toBeNull()
})

describe('every format tells the same sequences', () => {
  const method = { name: 'quest', fill: 'next' } as const
  let expected: object[]
  beforeAll(async () => {
    const memory = weave({ ...base, method, output: { format: 'memory' } })
    expected = (await all(memory.sequences())).map(asColumns).map(asData)
    expect((await memory.finished).directory).toBeNull()
    expect(expected.length).toBeGreaterThan(20)
  })

  const compressions = ['auto', 'none', 'zstd'] as const
  const outputs = formats.flatMap((format) =>
    compressions.slice(0, packed.has(format) ? 3 : 2).map((compression) => ({ format, compression })),
  )
  test.each(outputs)('as memory gives: $format, compression $compression', async ({ format, compression }) => {
    const to = out(`${format}-${compression}`)
    await finished({ ...base, method, output: { directory: to, format, compression, shardTokens: 32 * 7 } })
    const shard = /^(\d+|shard[._]\d+|chunk-\d+-0)\.(parquet|jsonl|mds|bin|ds|npy|arrow)(\.zstd?)?$/
    const shards = Object.keys(filesOf(to)).filter((name) => shard.test(name))
    expect(shards.length).toBe(Math.ceil(expected.length / 7))
    expect((await readColumns(to, { batchSize: 5 })).map(asData)).toEqual(expected)
    const from = await readColumns(to, { start: 9 })
    expect(from[0]?.index).toBe(9)
    expect(from.map(asData)).toEqual(expected.slice(9))
    await verify(to)
  })
})

test('batches in memory hold token ids end to end, and their sequences are views of them', async () => {
  const run = weave({ ...base, method: 'standard', output: { format: 'memory' } })
  const batches = await all(run.batches())
  let index = 0
  for (const batch of batches) {
    const { inputIds, length, sequenceLength, firstIndex, tokenCounts, pieceOffsets, docIds, reasons, starts } = batch
    expect(inputIds).toBeInstanceOf(Uint32Array)
    expect([sequenceLength, inputIds.length, firstIndex]).toEqual([32, 32 * length, index])
    expect([tokenCounts.length, pieceOffsets.length, pieceOffsets[length]]).toEqual([length, length + 1, docIds.length])
    expect([docIds.length, reasons.length]).toEqual([starts.length, starts.length])
    for (const [i, sequence] of [...batch].entries()) {
      expect(sequence).toEqual(batch.get(i))
      expect(sequence.inputIds.buffer).toBe(inputIds.buffer)
      expect([sequence.index, sequence.pieces.length]).toEqual([
        index,
        (pieceOffsets[i + 1] ?? 0) - (pieceOffsets[i] ?? 0),
      ])
      expect(sequence.pieces.map(({ docId }) => docId)).toEqual(sequence.docIds)
      index += 1
    }
    expect(() => batch.get(length)).toThrow(RangeError)
  }
  expect(index).toBeGreaterThan(20)
})

/** Every mix of policies, numbered; the number also chooses length, format, method and seed. */
const mixes = (['split', 'truncate', 'whole'] as const).flatMap((overflow) => {
  const groups = (['next', 'related', 'drop', 'pad'] as const).flatMap((fill) =>
    (['drop', 'pad'] as const).map((incomplete) => ({ overflow, fill, incomplete })),
  )
  return groups.map((group, i) => ({
    ...group,
    runs: (['none', 'sequence', 'document'] as const)
      .flatMap((bos) => (['auto', 'none', 'text:w1 w2'] as const).map((separator) => ({ bos, separator })))
      .map((tokens, j) => ({ ...tokens, n: 9 * i + j })),
  }))
})

test.each(mixes)(
  'with overflow: $overflow, fill: $fill, incomplete: $incomplete, sequences are the tokens of the documents, token for token',
  async ({ overflow, fill, incomplete, runs }) => {
    for (const { bos, separator, n } of runs) {
      const length = 8 + ((n * 7) % 40)
      const name = n % 4 === 3 && fill !== 'related' ? 'standard' : 'quest'
      const method = { name, fill } as RunOptions['method']
      const policies = { length, overflow, incomplete, bos, separator, seed: n, method }
      const to = out(`policies-${overflow}-${n}`)
      const format = formats[n % formats.length] ?? 'parquet'
      const { summary } = await finished({ ...base, ...policies, work: out('work'), output: { directory: to, format } })
      const made = await readColumns(to)
      expectRebuilt(made, documents, { length, separator, bos })
      const { tokens } = summary.plan ?? { tokens: undefined }
      expect(tokens?.used).toBe(
        (tokens?.inSequences ?? 0) + Object.values(tokens?.dropped ?? {}).reduce((a, b) => a + b, 0),
      )
      expect(
        (tokens?.inSequences ?? 0) + (tokens?.separators ?? 0) + (tokens?.begins ?? 0) + (tokens?.padding ?? 0),
      ).toBe(length * made.length)
      expect(made.length, `${bos} ${separator}`).toBeGreaterThan(0)
    }
  },
)

test('a separator can be any token of the vocabulary, the begin and padding tokens too', async () => {
  const tokens = { separator: 'token:<unk>', bos: 'sequence', bosToken: 'token:<s>', padToken: 'token:w99' } as const
  await weaveTo('tokens-named', { ...tokens, method: { name: 'quest', fill: 'pad' } })
  for (const { inputIds, tokenCount } of await readColumns(out('tokens-named'))) {
    expect(inputIds[0]).toBe(BEGIN)
    expect(inputIds.subarray(tokenCount).every((id) => id === 101)).toBe(true)
    expect(inputIds.subarray(0, tokenCount)).not.toContain(END)
  }
})

test('documents too short, too long, or the same as another stay out of the pool', async () => {
  const twins = [...documents, ...documents.slice(0, 10).map(({ id, ...rest }) => ({ id: `${id}-twin`, ...rest }))]
  const path = writeJsonl(out('twins.jsonl'), twins)
  const limits = { minTokens: 5, maxTokens: 30, dedup: 'exact' } as const
  const { summary } = await weaveTo('limits', { ...limits, corpus: path, method: 'standard', incomplete: 'pad' })
  const ids = await idsOf(out('limits'))
  const fitting = documents.filter(({ text }) => text.split(' ').length >= 5 && text.split(' ').length <= 30)
  expect(ids).toEqual(new Set(fitting.map(({ id }) => id)))
  expect(summary.plan?.excluded).toMatchObject({
    duplicate: documents.slice(0, 10).filter((doc) => fitting.includes(doc)).length,
  })
})

test('tokens: N gives that many, over as many epochs as it takes, unless maxUses stops it', async () => {
  const once = documents.reduce((sum, { text }) => sum + text.split(' ').length + 1, 0)
  const tokens = 32 * Math.ceil((2.5 * once) / 32) - 5
  const { summary } = await weaveTo('budget', { method: 'standard', tokens })
  expect(summary.plan).toMatchObject({ sequences: Math.ceil(tokens / 32), epochs: 3, sequencesMissing: 0 })
  const limited = await weaveTo('budget-2', { method: 'standard', tokens, maxUses: 2 })
  expect(limited.summary.plan?.sequencesMissing).toBeGreaterThan(0)
  expect(limited.summary.plan?.documentsByUses.length).toBe(3)
  expect(limited.summary.warnings.join()).toContain('maxUses')
})

test.each(formats.flatMap((format) => (['ids', 'none'] as const).map((provenance) => [format, provenance] as const)))(
  'provenance can be left out, in part or whole: %s, %s',
  async (format, provenance) => {
    const to = out(`provenance-${format}-${provenance}`)
    await finished({ ...base, method: 'standard', output: { directory: to, format, provenance } })
    const sequences = await readColumns(to)
    expect(sequences.length).toBeGreaterThan(20)
    for (const { docIds, starts, inputIds } of sequences) {
      expect([docIds.length > 0, starts.length, inputIds.length]).toEqual([provenance === 'ids', 0, 32])
    }
    await verify(to)
    expect((await show(to, 0)).sequenceLength).toBe(32)
  },
)

test.each([
  { splitRatio: 0.5, splitBy: 'documents', oversample: 2.5 },
  { splitBy: 'tokens', shortShare: 0.3 },
  { minKeywordDocuments: 3, pool: 'all' },
  { splitRatio: 0, fill: 'drop' },
  { splitRatio: 1, oversample: 1 },
] as const)('options of quest are accepted from end to end: %j', async (method) => {
  const to = out(`method-${JSON.stringify(Object.values(method))}`)
  await finished({ ...base, method: { name: 'quest', ...method }, output: { directory: to } })
})

test.each([
  { stopWords: 'fox' },
  { minScore: 0 },
  { boilerplatePhrases: ['football player'] },
  { representative: 'random' },
  { maxKeywordShare: 0.5, minKeywordCap: 1 },
  { hierarchy: 'affinity' },
] as RunOptions['keywords'][])('options of keywords are accepted from end to end: %j', async (keywords = {}) => {
  const to = out(`keywords-${Object.keys(keywords).join()}`)
  await finished({ ...base, work: out('work'), keywords, output: { directory: to } })
  if (keywords.boilerplatePhrases !== undefined)
    expect((await topKeywords(to)).map(({ keyword }) => keyword)).not.toContain('football player')
})

test('a pool, a stop list from a file and sizes are accepted from end to end', async () => {
  const { summary } = await weaveTo('keyworded', { method: { name: 'standard', pool: 'keyworded' } })
  expect(summary.plan?.poolDocuments).toBe(documents.filter(({ query }) => query.length > 0).length)
  const stop = out('stop.txt')
  writeFileSync(stop, '# words that part phrases\nfootball\n')
  await weaveTo('stop', { keywords: { stopWords: stop, minScore: 1 } })
  expect((await topKeywords(out('stop'))).some(({ keyword }) => keyword.includes('football'))).toBe(false)
  await weaveTo('sizes', {
    maxDocumentBytes: '1MiB',
    splitBytes: '2 kB',
    memory: '64MiB',
    output: { format: 'mds', mdsIndices: 'document' },
  })
  await weaveTo('sizes-default')
  expect((await readColumns(out('sizes'))).map(asData)).toEqual((await readColumns(out('sizes-default'))).map(asData))
})

test('queries can come from a file beside the corpus', async () => {
  const file = writeJsonl(
    out('queries.jsonl'),
    documents.filter(({ query }) => query.length > 0).map(({ id, query }) => ({ id, queries: query })),
  )
  const method = { name: 'quest', fill: 'next' } as const
  await weaveTo('from-field', { method })
  await weaveTo('from-file', { queryField: null, queries: { predictor: 'precomputed', file }, method })
  expect((await readColumns(out('from-file'))).map(asData)).toEqual((await readColumns(out('from-field'))).map(asData))
})

test('plan says what would come out and copies nothing; weave goes on from there', async () => {
  const options: RunOptions = { ...base, method: 'quest', output: { directory: out('planned') } }
  const handle = await plan(options)
  const planned = handle.summary
  expect(Object.keys(filesOf(out('planned')))).toEqual([])
  const expected = (await all(handle)).map(asColumns)
  expect([handle.length, handle.directory]).toEqual([expected.length, out('planned')])
  expect(asColumns(await handle.get(3))).toEqual(expected[3])
  expect((await failure(() => handle.get(handle.length))).code).toBe('SEQUENCE_NOT_FOUND')
  expect((await handle.topKeywords({ limit: 3 })).length).toBe(3)
  const { events, summary } = await finished(options)
  expect(states(events)).toMatchObject({
    ingest: 'reused',
    index: 'reused',
    plan: 'reused',
    pack: 'done',
    seal: 'done',
  })
  expect(summary.plan).toEqual(planned.plan)
  expect(planned.files).toBe(0)
  expect((await readColumns(out('planned'))).map(asData)).toEqual(expected.map(asData))
  await handle.close()
  expect((await failure(() => handle.get(0))).code).toBe('HANDLE_CLOSED')
})

test('show tells who stands in a sequence and why', async () => {
  await weaveTo('shown', { method: { name: 'quest', fill: 'related' } })
  const rules = new Set<string>()
  await using output = await openOutput(out('shown'))
  for await (const { index, pieces, inputIds } of output) {
    const shown = await output.show(index, { why: true, words: 2 })
    expect(shown.pieces.map(({ text: _text, pass: _pass, ...piece }) => piece)).toEqual(pieces)
    for (const { start, length, text } of shown.pieces) {
      const first = [...inputIds.subarray(start, start + Math.min(2, length))].map((id) =>
        id === END ? '<|endoftext|>' : `w${id - 2}`,
      )
      expect(text).toBe(first.join(' '))
    }
    rules.add(shown.why?.rule ?? '')
  }
  expect(rules).toEqual(new Set(['group', 'related', 'next']))
})

test('documents can be handed over instead of read: an iterable, an async iterable, ids or none', async () => {
  const given = documents.map(({ id, text, query }) => ({ id, text, queries: query }))
  const options = {
    tokenizer,
    length: 32,
    queries: { predictor: 'precomputed' },
    keywords: { boilerplate: 'none' },
  } as const
  async function* slowly() {
    for (const document of given) {
      await Promise.resolve()
      yield document
    }
  }
  const made: object[][] = []
  for (const [i, source] of [given, slowly()].entries()) {
    await finished({ ...options, queryField: 'queries', corpus: source, output: { directory: out(`pushed-${i}`) } })
    made.push((await readColumns(out(`pushed-${i}`))).map(asData))
  }
  expect(made[0]).toEqual(made[1])
  expect(made[0]?.length).toBeGreaterThan(20)
  const nameless = weave({
    ...options,
    corpus: [{ text: 'w1 w2 w3' }, { text: 'w4' }],
    method: 'standard',
    queries: {},
    length: 6,
    output: { format: 'memory' },
  })
  expect((await all(nameless.sequences())).flatMap(({ docIds }) => docIds).toSorted()).toEqual(['0', '1'])
})

test('from English text alone: a tokenizer trained on it, extractive queries, keywords for review', async () => {
  const subjects = ['steam engine', 'chess opening', 'river bridge', 'apple orchard']
  const rows = Array.from({ length: 40 }, (_, i) => {
    const subject = subjects[i % 4] ?? ''
    return {
      id: `text-${i}`,
      text: `The ${subject} was described in volume ${i}. It is what the ${subject} was for, and the ${subject} is where it was.`,
    }
  })
  const path = writeJsonl(out('english.jsonl'), rows)
  const trained = await trainTokenizer(path, out('bpe.json'), 400)
  expect(trained.documents).toBe(40)
  const { summary } = await finished({
    corpus: path,
    idField: 'id',
    tokenizer: out('bpe.json'),
    length: 64,
    output: { directory: out('english') },
  })
  expect(summary.keywords?.withKeyword).toBeGreaterThan(30)
  const top = await topKeywords(out('english'), 4)
  expect(top.map(({ keyword }) => keyword).toSorted()).toEqual(subjects.toSorted())
  await using predictor = await QueryPredictor.open()
  const predicted = await all(predictor.predict(rows))
  expect(predicted.map(({ id }) => id)).toEqual(rows.map(({ id }) => id))
  expect(
    predicted.every(({ queries }, i) => queries.some((query) => query.toLowerCase().includes(subjects[i % 4] ?? '?'))),
  ).toBe(true)
})

test('QueryPredictor takes an async iterable, more than a batch of it, and writes a query for each segment', async () => {
  const sentence = 'The winter garden grows. '
  async function* many() {
    for (let i = 0; i < 600; i += 1) yield { id: String(i), text: i === 599 ? sentence.repeat(400) : sentence }
  }
  await using predictor = await QueryPredictor.open({ segmentTokens: 100 })
  const predicted = await all(predictor.predict(many()))
  expect(predicted.map(({ id }) => Number(id))).toEqual(Array.from({ length: 600 }, (_, i) => i))
  expect(predicted[0]?.queries.length).toBe(1)
  expect(predicted[599]?.queries.length).toBeGreaterThan(10)
  expect((await failure(() => QueryPredictor.open({ segmentTokens: -1 }))).code).toBe('OPTIONS_INVALID')
})

test("Rake reproduces the scores of Rose et al.'s arithmetic: degree over frequency, summed", () => {
  const rake = new Rake()
  expect(rake.extract('linear constraints and the linear system')).toEqual([
    { phrase: 'linear constraints', score: 4 },
    { phrase: 'linear system', score: 4 },
  ])
  const batch = rake.extractBatch(['', 'the of and', 'Deep  Learning', 'linear constraints, linear system'])
  expect([...batch]).toEqual([
    [],
    [],
    [{ phrase: 'deep learning', score: 4 }],
    [
      { phrase: 'linear constraints', score: 4 },
      { phrase: 'linear system', score: 4 },
    ],
  ])
  expect(batch).toMatchObject({ length: 4, phrases: ['deep learning', 'linear constraints', 'linear system'] })
  expect([[...batch.offsets], [...batch.scores]]).toEqual([
    [0, 0, 0, 1, 3],
    [4, 4, 4],
  ])
  // Characters of one, two, three and four bytes, and half a character at the end of a text.
  const texts = ['grüne Bäume', '東京 駅', 'musical 𝄞 clef', `broken half \ud834`, '\udd1e half broken', 'naïve café']
  expect([...rake.extractBatch(texts)]).toEqual(texts.map((text) => rake.extract(text)))
  expect([...rake.extractBatch([])]).toEqual([])
  expect(new Rake({ minScore: 4.5 }).extract('deep learning')).toEqual([])
})

test('one text has the keywords that it has in a batch, however long and in whatever script, and what is not a text is refused', async () => {
  const rake = new Rake()
  const texts = [
    '',
    'grüne Bäume \ud83d of the 東京 駅',
    'steam engine '.repeat(5000),
    '\ufdfa'.repeat(30_000),
    'a b c',
  ]
  const batch = rake.extractBatch(texts)
  expect(texts.map((text) => rake.extract(text))).toEqual([...batch])
  const other = new Rake({ stopWords: ['steam'] })
  expect(other.extract('steam engine')).toEqual([{ phrase: 'engine', score: 1 }])
  expect(rake.extract('steam engine')).toEqual([{ phrase: 'steam engine', score: 4 }])
  for (const value of [123, undefined, ['text']])
    expect((await failure(() => rake.extract(value as never))).code).toBe('OPTIONS_INVALID')
})

test('options are resolved with all defaults, from one schema that is JSON Schema too', () => {
  const resolved = resolveOptions({ corpus: 'a.jsonl', tokenizer: 't.json', length: 8, output: { directory: 'out' } })
  expect(resolved).toMatchObject({
    corpus: ['a.jsonl'],
    seed: 0,
    method: { name: 'quest', splitRatio: 0.2, oversample: 2 },
    output: { format: 'parquet', provenance: 'full' },
  })
  expect(resolveOptions({ ...resolved })).toEqual(resolved)
  expect(resolveOptions({ ...resolved, memory: '1GiB', method: 'standard' })).toMatchObject({
    memory: 2 ** 30,
    method: { name: 'standard', pool: 'all' },
  })
  const schema = optionsJsonSchema() as {
    properties: Record<string, object>
    required: string[]
    additionalProperties: boolean
  }
  expect(schema.additionalProperties).toBe(false)
  expect(schema.required.toSorted()).toEqual(['corpus', 'length', 'tokenizer'])
  expect(Object.keys(schema.properties).toSorted()).toEqual(Object.keys(resolved).toSorted())
  expect(schema.properties['overflow']).toMatchObject({
    default: 'split',
    description: expect.stringContaining('a sequence continues in the next one') as string,
  })
})

test('a preset is another set of defaults, and what is given lies on top', () => {
  const given = { corpus: 'a', tokenizer: 't', length: 8, output: { directory: 'o' } }
  expect(resolveOptions({ ...given, preset: 'paper' })).toMatchObject({
    keywords: presets.paper.keywords,
    method: presets.paper.method,
  })
  expect(resolveOptions({ ...given, preset: 'paper', method: { name: 'quest', fill: 'drop' } }).method).toMatchObject({
    fill: 'drop',
    splitRatio: 0.2,
  })
  expect(resolveOptions({ ...given, preset: 'paper', method: 'standard' }).method).toEqual({
    name: 'standard',
    pool: 'all',
    fill: 'next',
  })
  expect(() => resolveOptions({ ...given, preset: 'other' as 'paper' })).toThrow(LongweaveError)
})

test('an output can be moved and read where it arrived; only why needs the run', async () => {
  await weaveTo('moved')
  mkdirSync(out('arrived'))
  for (const name of Object.keys(filesOf(out('moved')))) cpSync(out(`moved/${name}`), out(`arrived/${name}`))
  await verify(out('arrived'))
  expect((await show(out('arrived'), 0)).pieces[0]?.text).toBeNull()
  expect((await show(out('arrived'), 0, { tokenizer })).pieces[0]?.text).toMatch(/^w\d+/)
  expect((await failure(() => show(out('arrived'), 0, { why: true }))).code).toBe('RUN_NOT_PREPARED')
  expect(readFileSync(out('arrived/SHA256SUMS'), 'utf8')).toContain('longweave.json')
})

const inMixing = (name: string) => join(directory, 'mixing', name)
const coal = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    id: `${prefix}-${i}`,
    text: `steam engine ${prefix} ${'coal '.repeat(20)}`,
  }))

test('sources are paths of the corpus as they are given, each with its share; lengths share the documents, each in an output of its own', async () => {
  mkdirSync(inMixing(''), { recursive: true })
  const written = [
    writeJsonl(inMixing('many.jsonl'), coal('many', 300)),
    writeJsonl(inMixing('few.jsonl'), coal('few', 60)),
  ]
  const near = written.map((path) => relative(process.cwd(), path))
  const [many, few] = near as [string, string]
  const options = { idField: 'id', tokenizer, method: 'standard', incomplete: 'pad' } as const
  const { plan: mixed } = await weave({
    ...options,
    corpus: near,
    length: 64,
    sources: { [many]: 1, [few]: 1 },
    output: { directory: inMixing('mixed') },
  }).finished
  // In byte order of names.
  const [small, large] = mixed?.sources ?? []
  expect([small?.rate, small?.wanted, large?.wanted]).toEqual([1, 0.5, 0.5])
  expect(large?.rate).toBeCloseTo(0.2, 1)
  expect((small?.inSequences ?? 0) / (large?.inSequences ?? 1)).toBeCloseTo(1, 0)
  const strange = weave({
    ...options,
    corpus: near,
    length: 64,
    sources: { x: 1 },
    output: { directory: inMixing('x') },
  })
  await expect(strange.finished).rejects.toThrow(/"x", which is not a path of `corpus`/)

  const made = await weaveLengths({
    ...options,
    corpus: near,
    lengths: [
      { length: 64, share: 1 },
      { length: 128, share: 3 },
    ],
    output: { directory: inMixing('lengths') },
  })
  expect(made.map(({ length }) => length)).toEqual([64, 128])
  const ids: string[] = []
  for (const { length } of made)
    for await (const { pieces } of readSequences(inMixing(`lengths/${length}`)))
      ids.push(...pieces.filter(({ docOffset }) => docOffset === 0).map(({ docId }) => docId))
  expect([ids.length, new Set(ids).size]).toEqual([360, 360])
})
