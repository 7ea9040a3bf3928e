// The schema and the core's types are one: what the schema resolves, the core takes and gives back unchanged. That the core takes
// no option less and none more: crates/api/tests/it/options.rs.
import { expect, test } from 'vitest'
import { binding } from '../ts/binding.ts'
import { call } from '../ts/errors.ts'
import { LongweaveError, resolveOptions } from '../ts/index.ts'
import type { LongweaveErrorOf, Options, ResolvedOptions } from '../ts/index.ts'
import { isTree, randomOptions } from './random-options.ts'
import type { Json } from './random-options.ts'
import { full } from './support.ts'

const least = {
  corpus: ['a.jsonl'],
  tokenizer: 't.json',
  length: 64,
  output: { directory: 'out' },
} as const satisfies Options
const roundTrip = (options: unknown) =>
  JSON.parse(call(() => binding.optionsRoundTrip(JSON.stringify(options)))) as unknown

const rounds = full ? 5000 : 500

test(`${rounds} random options: resolved by the schema, parsed by the core, printed back: equal`, () => {
  const seen = new Map<string, Set<unknown>>()
  const note = (value: unknown, path: string) => {
    if (isTree(value)) for (const [key, below] of Object.entries(value)) note(below, `${path}.${key}`)
    else seen.set(path, (seen.get(path) ?? new Set()).add(value))
  }
  for (let seed = 0; seed < rounds; seed += 1) {
    const given = randomOptions(seed)
    let resolved: ResolvedOptions
    try {
      resolved = resolveOptions(given)
      expect(roundTrip(resolved), `seed ${seed}`).toEqual(resolved)
    } catch (error) {
      throw new Error(`seed ${seed}: ${JSON.stringify(given)}`, { cause: error })
    }
    expect(resolveOptions(resolved as Options)).toEqual(resolved)
    note(resolved, '')
  }
  // The draw reaches every option, and each in more than one way.
  expect([...seen].filter(([path, values]) => values.size < 2 && path !== '.corpus').map(([path]) => path)).toEqual([])
})

/** An option, and values that it cannot have. */
const wrong: [string, unknown[]][] = [
  ['corpus', [[], 7, [''], '']],
  ['corpusRoot', ['', 3]],
  ['corpusPreset', ['heap', 3]],
  ['corpusSkip', ['x', [''], null]],
  ['textField', ['', null]],
  ['tokensField', ['', 3]],
  ['textJoin', [3, null]],
  ['loneSurrogates', ['drop']],
  ['specialText', ['drop', true]],
  ['maxBadRows', [-1, 1.5, '100%', 'some']],
  ['idField', ['', 1]],
  ['queryField', ['']],
  ['sourceField', ['']],
  ['languageField', ['', 3]],
  ['sources', ['wiki', ['wiki'], ['wiki=much'], ['a=1', 'a=2'], { a: -1 }, { a: 'much' }, null]],
  ['onBadRow', ['ignore']],
  ['onDuplicateId', ['drop']],
  ['maxDocumentBytes', [0, 1.5, '3 cubits']],
  ['splitBytes', [0, -1, '']],
  ['tokenizer', ['', null, undefined]],
  ['queries.predictor', ['oracle']],
  ['queries.file', ['']],
  ['queries.segmentTokens', [0, 0.5]],
  ['queries.model', ['', 3]],
  ['queries.device', ['gpu', 'cuda:', 'cuda:x', '']],
  ['queries.prefix', [3]],
  ['queries.decoding', ['beam']],
  ['queries.temperature', [0, -1, '1']],
  ['queries.topK', [-1, 0.5]],
  ['queries.topP', [0, 1.01]],
  ['queries.queriesPerSegment', [0, 70_000]],
  ['queries.maxQueryTokens', [0, 70_000]],
  ['queries.batchTokens', [0, 1.5]],
  ['queries.decodeRows', [0]],
  ['queries.tf32', ['yes', 1]],
  ['queries.deviceMemory', [0, 'much']],
  ['queries.onnxRuntime', ['']],
  ['queries.checkpointSeconds', [-1, 'soon']],
  ['keywords.language', ['', null]],
  ['keywords.stopWords', ['', []]],
  ['keywords.minScore', ['high', Number.NaN]],
  ['keywords.phrases', ['nouns']],
  ['keywords.boilerplate', ['all']],
  ['keywords.boilerplatePhrases', ['x', [1]]],
  ['keywords.representative', ['best']],
  ['keywords.maxKeywordShare', [0, 1.1]],
  ['keywords.minKeywordCap', [0, -1]],
  ['keywords.hierarchy', ['tree']],
  ['method', ['magic', 3]],
  ['method.name', ['magic']],
  ['method.pool', ['none']],
  ['method.splitRatio', [-0.1, 1.1, 'x']],
  ['method.splitBy', ['size']],
  ['method.oversample', [0.5, '2']],
  ['vectors.source', ['words']],
  ['vectors.file', ['']],
  ['vectors.dimensions', [0, 5000]],
  ['vectors.sample', [0]],
  ['vectors.model', ['']],
  ['vectors.device', ['gpu']],
  ['vectors.batchTokens', [0]],
  ['vectors.tf32', ['yes']],
  ['vectors.deviceMemory', [0]],
  ['vectors.onnxRuntime', ['']],
  ['vectors.pooling', ['max']],
  ['vectors.prefix', [1]],
  ['vectors.maxTokens', [0]],
  ['neighbours.search', ['hnsw']],
  ['neighbours.lists', [0]],
  ['neighbours.probes', [0]],
  ['neighbours.recallSample', [-1]],
  ['topics.source', ['web']],
  ['topics.file', ['', 3]],
  ['topics.command', ['', 3]],
  ['topics.most', [0, 1.5]],
  ['topics.minDocuments', [0]],
  ['topics.match', ['most']],
  ['topics.k1', [-1, 'x']],
  ['topics.b', [-0.1, 1.5]],
  ['method.shortShare', [0, 1]],
  ['method.minKeywordDocuments', [0]],
  ['method.fill', ['best']],
  ['length', [0, -5, 1.5, 2 ** 31, '8k', undefined]],
  ['lengths', ['8192=1', ['8192'], ['8k=1'], [{ length: 8192 }], [{ length: 0, share: 1 }], [{ length: 8, share: 0 }]]],
  ['tokens', [0, 1.5]],
  ['seed', [-1, 0.5, 2 ** 60]],
  ['separator', ['eos', 'token:', '']],
  ['bos', ['always']],
  ['bosToken', ['<s>']],
  ['padToken', ['none']],
  ['overflow', ['wrap']],
  ['incomplete', ['next']],
  ['minTokens', [-1]],
  ['maxTokens', [0]],
  ['maxUses', [0]],
  ['holdout', [-0.1, 1.5]],
  ['dedup', ['fuzzy']],
  ['near.threshold', [0, 1.5]],
  ['near.words', [0, 2000]],
  ['near.hashes', [0, 5000]],
  ['near.bands', [0]],
  ['near.rows', [0, 1.5]],
  ['near.keep', ['last']],
  ['output.directory', ['', 's3://bucket/out']],
  ['output.upload', ['', 'out', 'https://host/out', 's3://', 3]],
  ['output.format', ['csv']],
  ['output.provenance', ['some']],
  ['output.shardTokens', [0]],
  ['output.compression', ['gzip']],
  ['output.maskFirst', ['yes']],
  ['output.lossWeightScale', ['log']],
  ['output.lossWeightLimit', [0.5, 1e7]],
  ['output.mdsShardBytes', [0, '4GiB', 'small']],
  ['output.mdsIndices', ['piece']],
  ['output.columns', ['labels', ['input_ids'], [3]]],
  ['work', ['', 's3://bucket/work']],
  ['threads', [-1, 5000]],
  ['memory', ['1MiB', 5, 'lots']],
  ['packing', ['both']],
  ['diskCheck', ['maybe', true]],
  ['clean', ['all', false]],
]

test.each(wrong)('%s out of range is named in the message and the details', (option, values) => {
  const [section, name] = option.split('.') as [string, string | undefined]
  for (const value of values) {
    const given: Json = structuredClone(least)
    if (name === undefined) given[section] = value
    else
      given[section] = {
        ...(section === 'method' ? { name: 'quest' } : {}),
        ...(given[section] as Json | undefined),
        [name]: value,
      }
    let error: unknown
    try {
      resolveOptions(given as Options)
    } catch (thrown) {
      error = thrown
    }
    expect(error, `${option} = ${JSON.stringify(value)}`).toBeInstanceOf(LongweaveError)
    const { code, message, details } = error as LongweaveErrorOf<'OPTIONS_INVALID'>
    expect(code).toBe('OPTIONS_INVALID')
    expect(message).toContain(`\`${section}`)
    expect(String(details.option).startsWith(section)).toBe(true)
  }
})

test('every option of the schema has a row of wrong values', () => {
  const resolved = resolveOptions(least) as unknown as Json
  const leaves = Object.entries(resolved).flatMap(([key, value]) =>
    isTree(value) ? Object.keys(value).map((below) => `${key}.${below}`) : [key],
  )
  expect(leaves.filter((leaf) => !wrong.some(([option]) => option === leaf))).toEqual([])
})
