// Corpora as they are distributed: presets, rules that hold for files and pushed documents alike, directories, bad rows.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { dryRun, prepare, resolveOptions, weave } from '../ts/index.ts'
import type { CorpusDocument, RunOptions } from '../ts/index.ts'
import { corpusPresets } from '../ts/schema.ts'
import { argv, cli, failure, finished, folder, jsonl, readColumns, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const tokenizer = wordTokenizer(directory)
const words = (i: number) => `w${i % 90} w${(i * 7) % 90} w${(i * 11) % 90}`

/** Options of a run over a corpus in a new folder. */
function options(corpus: RunOptions['corpus'], more: Partial<RunOptions> = {}): RunOptions {
  return {
    corpus,
    tokenizer,
    length: 16,
    method: 'standard',
    output: { directory: join(folder(), 'out') },
    ...more,
  } as RunOptions
}

const put = (root: string, files: Record<string, string | Buffer>): string => {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
  return root
}

const documentsOf = async (out: string) =>
  (await readColumns(out)).flatMap(({ docIds }) => docIds ?? []).filter((id, i, ids) => ids.indexOf(id) === i)

const sortedIds = async (given: RunOptions) => (await documentsOf(given.output?.directory ?? '')).toSorted()

/** A hundred rows, of which `bad` have no text. */
const withBadRows = (bad: number) =>
  Array.from({ length: 100 }, (_, i) => (i % 10 === 3 && i < bad * 10 ? { text: i } : { text: words(i) }))

describe('presets name the fields of published corpora', () => {
  /** Rows as these corpora have them. */
  const rows: Record<keyof typeof corpusPresets, (i: number) => object> = {
    c4: (i) => ({ text: words(i), timestamp: '2019-04-25T12:57:54Z', url: `https://host/${i}` }),
    'common-corpus': (i) => ({ identifier: `id${i}`, collection: `s${i % 2}`, text: words(i), token_count: 3 }),
    cosmopedia: (i) => ({ prompt: 'p', text: words(i), seed_data: `s${i % 2}`, format: 'blog' }),
    culturax: (i) => ({ text: words(i), timestamp: '', url: '', source: `s${i % 2}` }),
    dclm: (i) => ({ text: words(i), url: '', metadata: { 'WARC-Record-ID': `id${i}`, 'WARC-Type': 'response' } }),
    dolma: (i) => ({ id: `id${i}`, text: words(i), source: `s${i % 2}`, metadata: { length: 3 } }),
    fineweb: (i) => ({ text: words(i), id: `id${i}`, dump: `s${i % 2}`, language_score: 0.9 }),
    fineweb2: (i) => ({ text: words(i), id: `id${i}`, dump: 'd', language: `s${i % 2}` }),
    oscar: (i) => ({
      content: words(i),
      warc_headers: { 'warc-record-id': `id${i}` },
      metadata: { identification: { label: `s${i % 2}`, prob: 0.9 } },
    }),
    peS2o: (i) => ({ id: `id${i}`, source: `s${i % 2}`, text: words(i), version: 'v2' }),
    pile: (i) => ({ text: words(i), meta: { pile_set_name: `s${i % 2}` } }),
    redpajama: (i) => ({ text: words(i), meta: { url: '' }, red_pajama_subset: `s${i % 2}` }),
    redpajama2: (i) => ({ raw_content: words(i), digest: 'sha1:x', language: `s${i % 2}` }),
    slimpajama: (i) => ({ text: words(i), meta: { redpajama_set_name: `s${i % 2}` } }),
    'the-stack': (i) => ({ hexsha: `id${i}`, lang: `s${i % 2}`, content: words(i), size: 9 }),
    wikipedia: (i) => ({ id: String(i), url: '', title: 'T', text: words(i) }),
  }
  test.each(Object.keys(rows) as (keyof typeof corpusPresets)[])('%s', async (corpusPreset) => {
    const made = Array.from({ length: 12 }, (_, i) => rows[corpusPreset](i))
    const given = options(writeJsonl(join(folder(), 'a.jsonl'), made), { corpusPreset })
    const { summary } = await finished(given)
    const preset = corpusPresets[corpusPreset]
    expect(summary.corpus).toMatchObject({
      documents: 12,
      rejected: 0,
      withSource: 'sourceField' in preset ? 12 : 0,
    })
    const ids = await documentsOf(given.output?.directory ?? '')
    expect(ids.every((id) => ('idField' in preset ? /^(id)?\d+$/ : /^a\.jsonl:\d+$/).test(id))).toBe(true)
  })

  test('an option that is given counts more than the preset, and another name is refused', async () => {
    const resolved = resolveOptions({ ...options('a', { corpusPreset: 'pile', textField: 'body' }), corpus: 'a' })
    expect(resolved).toMatchObject({ textField: 'body', sourceField: 'meta.pile_set_name' })
    expect(resolveOptions(resolved as never)).toEqual(resolved)
    const { code, message } = await failure(() =>
      resolveOptions({ ...options('a'), corpus: 'a', corpusPreset: 'heap' as never }),
    )
    expect(code).toBe('OPTIONS_INVALID')
    expect(message).toContain('slimpajama')
  })
})

describe('files and pushed documents have one set of rules', () => {
  const rows: Record<string, unknown>[] = [
    { id: 'a', text: 'w1 w2 w3', source: 's', queries: 'tin whistle' },
    { id: 7, text: ['w1', 'w2', null, 'w3'], source: 2, queries: ['tin whistle', null] },
    { id: -8.0, text: 'cut \ud83d w4', source: true, queries: null },
    { id: 'null', text: null, source: null },
    { id: 'blank', text: ' ' },
    { id: 'number', text: 7 },
    { text: 'w1' },
    { id: 1.5, text: 'w1' },
    { id: 'object', text: 'w1', source: {} },
    ...Array.from({ length: 9 }, (_, i) => ({ id: `d${i}`, text: words(i), extra: 1 })),
  ]
  const more: Partial<RunOptions> = {
    onBadRow: 'skip',
    idField: 'id',
    sourceField: 'source',
    queryField: 'queries',
  }

  test('with the same documents, bad rows and counts', async () => {
    const file = options(writeJsonl(join(folder(), 'a.jsonl'), rows), more)
    // A row without an id has its number where it is pushed.
    const pushed = options(
      rows.map((row) => ('id' in row ? row : { ...row, id: '' })) as unknown as CorpusDocument[],
      more,
    )
    const [ofFile, ofPush] = await Promise.all([finished(file), finished(pushed)])
    const counts = { rows: 18, documents: 12, empty: 2, rejected: 4, withSource: 3, replacedSurrogates: 1 }
    expect(ofFile.summary.corpus).toMatchObject(counts)
    expect(ofPush.summary.corpus).toMatchObject(counts)
    expect(ofFile.summary.warnings.join()).toContain('half a surrogate pair')
    expect(await sortedIds(pushed)).toEqual(await sortedIds(file))
    expect(await sortedIds(file)).toEqual(expect.arrayContaining(['-8', '7', 'a']))
  })

  test('integers of any size and type are ids of pushed documents', async () => {
    const corpus = [1n, 2 ** 40, 18446744073709551615n, undefined, null].map((id, i) => ({ id, text: words(i) }))
    const given = options(corpus as CorpusDocument[], { length: 4 })
    await finished(given)
    const ids = await documentsOf(given.output?.directory ?? '')
    expect(ids.toSorted()).toEqual(['1', '1099511627776', '18446744073709551615', '3', '4'])
  })

  test('half a surrogate pair makes a bad row where that is asked for', async () => {
    const { code, message } = await failure(() =>
      finished(options([{ text: 'cut \ud83d' }], { loneSurrogates: 'reject' })),
    )
    expect(code).toBe('BAD_ROW')
    expect(message).toMatch(/^document 0 .*: lone surrogate \\ud83d at column \d+; fix the row, or set `loneSurrogates/)
  })
})

describe('directories', () => {
  const rows = jsonl(Array.from({ length: 12 }, (_, i) => ({ text: words(i) })))

  test('say what is not read, in the summary and before the run', async () => {
    const corpus = put(folder(), {
      'data/a.jsonl': rows,
      'README.md': '---\n',
      'dataset_infos.json': '{}',
      '_temporary/0/a.jsonl': rows,
      'load.py': '',
      'more.py': '',
    })
    const given = options(corpus)
    const expected = [
      { reason: 'skipped', name: '_*', count: 1, examples: ['_temporary/'] },
      { reason: 'skipped', name: 'dataset_infos.json', count: 1, examples: ['dataset_infos.json'] },
      { reason: 'card', name: '', count: 1, examples: ['README.md'] },
      { reason: 'kind', name: '.py', count: 2, examples: ['load.py', 'more.py'] },
    ]
    expect((await dryRun(given)).corpus?.unread).toEqual(expected)
    expect((await finished(given)).summary.corpus).toMatchObject({ documents: 12, unread: expected })
    const out = join(folder(), 'out')
    const line =
      'not read    1 _* (_temporary/), 1 dataset_infos.json (dataset_infos.json), 1 card or licence (README.md)'
    const run = argv`run --corpus ${corpus} --tokenizer ${tokenizer} --length 16 --method standard --out ${out}`
    expect((await cli([...run, '--dry-run'])).out).toContain(line)
    expect((await cli(run)).out).toContain(`${line}, 2 .py (load.py, more.py)`)
    const every = await cli([
      ...argv`run --corpus ${corpus} --tokenizer ${tokenizer} --length 16 --method standard`,
      ...argv`--out ${join(folder(), 'out')} --corpus-skip none`,
    ])
    expect(every.err).toContain('dataset_infos.json:1')
  })

  test('may hold the output, the work directory and the tokenizer of the run', async () => {
    const corpus = put(folder(), { 'a.jsonl': rows })
    const inside = wordTokenizer(corpus)
    const given = options(corpus, {
      tokenizer: inside,
      corpusSkip: [],
      work: join(corpus, 'work'),
      output: { directory: join(corpus, 'out'), format: 'jsonl', compression: 'none' },
    })
    await prepare(given)
    expect((await finished(given)).summary.corpus?.documents).toBe(12)
    // Another run leaves the output of this one out.
    const other = options(corpus, { corpusSkip: ['words.json', 'work'] })
    expect((await finished(other)).summary.corpus?.documents).toBe(12)
  })

  test('of partitions give sources; a source that nothing gives is said', async () => {
    const corpus = put(folder(), { 'kind=web/a.jsonl': rows, 'kind=books/a.jsonl': rows })
    const { summary } = await finished(options(corpus, { sourceField: 'kind' }))
    expect(summary.corpus).toMatchObject({ documents: 24, withSource: 24 })
    const other = await finished(options(corpus, { sourceField: 'sort' }))
    expect(other.summary.warnings).toEqual([
      expect.stringMatching(/no document has a source.*"sort" \(`sourceField`\)/),
    ])
  })
})

describe('bad rows', () => {
  test('are skipped up to a share or a number, and more end the run with the first', async () => {
    const corpus = writeJsonl(join(folder(), 'a.jsonl'), withBadRows(5))
    for (const maxBadRows of ['5%', 0.05, 5, '100']) {
      const { summary } = await finished(options(corpus, { maxBadRows }))
      expect(summary.corpus).toMatchObject({ documents: 95, rejected: 5 })
    }
    for (const [maxBadRows, most] of [
      ['4.9%', 4],
      [0, 0],
      [4, 4],
    ] as const) {
      const { code, message, details } = await failure(() => finished(options(corpus, { maxBadRows })))
      expect(code).toBe('BAD_ROW')
      expect(message).toMatch(/^a\.jsonl:\d+: "text" is a number.*; \d of 100 rows are bad, and `maxBadRows` allows \d/)
      expect(details).toMatchObject({ file: 'a.jsonl' })
      expect(message).toContain(`allows ${most}`)
    }
  })

  test('are counted over all files, and the limit can be raised for the same output', async () => {
    const corpus = put(folder(), { 'a.jsonl': jsonl(withBadRows(3)), 'b.jsonl': jsonl(withBadRows(3)) })
    const given = options(corpus, { maxBadRows: 5, splitBytes: 1 })
    const { code, message, details } = await failure(() => finished(given))
    expect(code).toBe('BAD_ROW')
    expect(message).toMatch(
      /^6 of 200 rows are bad, and `maxBadRows` allows 5; the first is a\.jsonl:4: "text" is a number/,
    )
    expect(details).toMatchObject({ file: 'a.jsonl', line: 4, rejected: 6, rows: 200 })
    expect((await finished({ ...given, maxBadRows: '3%' })).summary.corpus).toMatchObject({ rejected: 6 })
    // A limit that the finished run does not keep is noticed, too.
    expect((await failure(() => finished(given))).message).toContain('6 of 200 rows are bad')
  })
})

test('precomputed queries that belong to no document are an error that shows both ids', async () => {
  const corpus = writeJsonl(
    join(folder(), 'a.jsonl'),
    Array.from({ length: 12 }, (_, i) => ({ id: `d${i}`, text: words(i) })),
  )
  const file = writeJsonl(
    join(folder(), 'q.jsonl'),
    Array.from({ length: 12 }, (_, i) => ({ id: `d${i}`, query: 'tin whistle' })),
  )
  const given = options(corpus, { method: 'quest', queries: { predictor: 'precomputed', file } })
  const { code, message } = await failure(() => finished(given))
  expect(code).toBe('QUERIES_INVALID')
  expect(message).toMatch(
    /none of 12 documents has a query: no id of .*q\.jsonl .* "d0", .* "a\.jsonl:0"\); set `idField`/,
  )
  const column = options(corpus, { method: 'quest', queryField: 'asked', queries: { predictor: 'precomputed' } })
  expect((await failure(() => finished(column))).message).toContain('no row has one in the field "asked"')
  const some = writeJsonl(join(folder(), 'q.jsonl'), [{ id: 'd0', query: 'tin whistle' }])
  const one = options(corpus, {
    idField: 'id',
    method: { name: 'quest', pool: 'all' },
    queries: { predictor: 'precomputed', file: some },
  })
  expect((await finished(one)).summary.warnings.join()).toContain('only 1 of 12 documents have a query')
})

test('the card of an output of JSON lines names its files, so that datasets reads no others', async () => {
  const corpus = writeJsonl(
    join(folder(), 'a.jsonl'),
    Array.from({ length: 12 }, (_, i) => ({ text: words(i) })),
  )
  for (const [format, pattern] of [
    ['jsonl', '[0-9]*.jsonl*'],
    ['parquet', '*.parquet'],
    ['megatron', undefined],
  ] as const) {
    const directoryOf = join(folder(), 'out')
    await weave(options(corpus, { output: { directory: directoryOf, format } })).finished
    const card = readFileSync(join(directoryOf, 'README.md'), 'utf8')
    if (pattern === undefined) expect(card).not.toContain('data_files')
    else expect(card).toContain(`data_files: "${pattern}"`)
  }
})

describe('special tokens that are written in documents', () => {
  const written = [3, 5, ...Array.from({ length: 12 }, (_, i) => 20 + i)]
  const rows = Array.from({ length: 40 }, (_, i) => ({
    id: `d${i}`,
    text: written.includes(i) ? `${words(i)} <|endoftext|> ${words(i + 1)}` : words(i),
  }))

  test.each([
    ['text', 40, 0, /encoded as text/],
    ['token', 40, 14, /kept as tokens/],
  ] as const)('are encoded as %s', async (specialText, documents, inside, warning) => {
    const given = options(writeJsonl(join(folder(), 'a.jsonl'), rows), {
      idField: 'id',
      specialText,
      incomplete: 'pad',
    })
    const { summary } = await finished(given)
    expect(summary.corpus).toMatchObject({
      documents,
      rejected: 0,
      specialText: { documents: 14, occurrences: 14, first: written.slice(0, 10).map((i) => `d${i}`) },
    })
    expect(summary.warnings.join()).toMatch(warning)
    const separator = 0
    const read = await readColumns(given.output?.directory ?? '')
    const separators = read.flatMap(({ inputIds }) => [...inputIds]).filter((id) => id === separator).length
    // One ends each document; the others are those that are written.
    expect(separators).toBe((summary.plan?.tokens.separators ?? 0) + inside)
  })

  test('make bad rows where that is asked for', async () => {
    const corpus = writeJsonl(join(folder(), 'a.jsonl'), rows)
    const { code, message } = await failure(() => finished(options(corpus, { specialText: 'fail' })))
    expect(code).toBe('BAD_ROW')
    expect(message).toMatch(/^a\.jsonl:4: .*<\|endoftext\|>.*; set `specialText: text`, or `onBadRow: skip`$/)
    const { summary } = await finished(options(corpus, { specialText: 'fail', onBadRow: 'skip' }))
    expect(summary.corpus).toMatchObject({ documents: 26, rejected: 14, specialText: { documents: 14 } })
  })
})
