// Options drawn at random from the schema: every choice comes up over the rounds.
import { optionsJsonSchema } from '../ts/index.ts'
import type { Options } from '../ts/index.ts'
import { randomNumbers } from './support.ts'

export type Json = Record<string, unknown>
export const isTree = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
/** A valid value for each node of the JSON Schema, drawn at random; every choice comes up over the rounds. */
function draw(schema: Json, random: () => number): unknown {
  const pick = <T>(list: T[]) => list[Math.floor(random() * list.length)] as T
  const forms = (schema['anyOf'] ?? schema['oneOf']) as Json[] | undefined
  if (forms !== undefined) return draw(pick(forms), random)
  if (schema['const'] !== undefined) return schema['const']
  if (schema['enum'] !== undefined) return pick(schema['enum'] as unknown[])
  if (Array.isArray(schema['type'])) {
    // A number or a text is a size, which the caller sets.
    const types = (schema['type'] as string[]).includes('number') ? ['null'] : (schema['type'] as string[])
    return draw({ ...schema, type: pick(types) }, random)
  }
  switch (schema['type']) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema['properties'] as object).map(([name, below]) => [name, draw(below as Json, random)]),
      )
    case 'array':
      return Array.from({ length: 1 + Math.floor(random() * 3) }, () => draw(schema['items'] as Json, random))
    case 'integer':
    case 'number': {
      const low = (schema['minimum'] ?? schema['exclusiveMinimum'] ?? 0) as number
      const high = Math.min(
        (schema['maximum'] ?? schema['exclusiveMaximum'] ?? Number.MAX_SAFE_INTEGER) as number,
        pick([low + 1, low + 1000, 2 ** 40]),
      )
      const value = low + (0.01 + 0.98 * random()) * (high - low)
      return schema['type'] === 'integer' ? Math.max(low, Math.floor(value)) : value
    }
    case 'string':
      if (schema['pattern'] === undefined) return pick(['a', 'data/b.jsonl', 'grüße', 'x y'])
      if (String(schema['pattern']).includes('s3')) return pick(['s3://bucket', 's3://bucket/a/prefix'])
      if (String(schema['pattern']).includes('cuda')) return pick(['auto', 'cpu', 'cuda', 'cuda:3'])
      return pick([String(schema['pattern']).includes('auto') ? 'auto' : 'none', 'token:<|end|>'])
    case 'boolean':
      return random() < 0.5
    case 'null':
      return null
    default:
      throw new Error(`no value is known for ${JSON.stringify(schema)}`)
  }
}

/** Options with sizes, which the JSON Schema describes only as numbers or texts, and with what depends on other options. */
export function randomOptions(seed: number): Options {
  const random = randomNumbers(seed)
  const schema = optionsJsonSchema()
  const { properties } = schema as { properties: Record<string, Json> }
  const sizes = new Set(['maxBadRows', 'maxDocumentBytes', 'splitBytes', 'memory', 'sources', 'lengths'])
  const drawn = Object.entries(properties)
    .filter(([name]) => !sizes.has(name))
    .map(([name, below]) => [name, draw(below, random)])
  const options = Object.fromEntries(drawn) as Json
  options['maxBadRows'] = [null, '0.1%', 5][seed % 3]
  options['memory'] = seed % 2 === 0 ? '64 MiB' : 2 ** 25 + seed
  options['splitBytes'] = `${1 + seed}kB`
  options['maxDocumentBytes'] = 1 + seed
  if (options['bos'] === 'sequence') options['length'] = Math.max(2, options['length'] as number)
  // Without a field, sources are paths of the corpus.
  const weights = [{}, { wiki: 1.5, 'a=b': 0 }, ['wiki=2', 'a=b=0.5']]
  options['sources'] = options['sourceField'] === null ? {} : weights[seed % 3]
  const length = options['length'] as number
  options['lengths'] = seed % 2 === 0 ? [] : [`${length}=2`, { length: length + 1, share: 0.5 }]
  const vectors = options['vectors'] as Json
  vectors['deviceMemory'] = seed % 3 === 1 ? null : `${2 + seed}MiB`
  if (vectors['source'] === 'onnx') vectors['model'] ??= 'model'
  if (vectors['source'] === 'file') vectors['file'] ??= 'v.npy'
  const near = options['near'] as Json
  near['threshold'] = Math.max(0.01, near['threshold'] as number)
  near['hashes'] = 1 + (seed % 200)
  if (near['bands'] !== null) near['bands'] = 1 + (seed % (near['hashes'] as number))
  if (near['rows'] !== null)
    near['rows'] = Math.floor((near['hashes'] as number) / ((near['bands'] as number | null) ?? 1))
  const { name, pool } = options['method'] as { name: string; pool: string }
  const keywords = options['keywords'] as Json
  const { within } = options['method'] as { within?: string }
  const ofChunks = name === 'nextlong' || (name === 'topics' && within === 'nextlong')
  const topics = options['topics'] as Json
  if (topics['source'] === 'file') topics['file'] ??= 'topics.txt'
  if (topics['source'] === 'command') topics['command'] ??= 'make-topics'
  const keyworded = pool === 'keyworded' || (name === 'topics' && topics['source'] === 'keywords')
  if (ofChunks && keyworded && keywords['hierarchy'] === 'vectors') keywords['hierarchy'] = 'affinity'
  const queries = options['queries'] as Json
  queries['deviceMemory'] = seed % 3 === 0 ? null : `${1 + seed}GiB`
  if (queries['decoding'] === 'greedy') queries['queriesPerSegment'] = 1
  if (queries['predictor'] === 'onnx') queries['model'] ??= 'model'
  if (queries['predictor'] === 'precomputed' && queries['file'] === null) options['queryField'] = 'query'
  const output = options['output'] as Json
  if (output['format'] === 'memory') output['upload'] = null
  else output['directory'] ??= 'out'
  if (output['format'] === 'mds' && seed % 3 > 0) output['mdsShardBytes'] = seed % 3 === 1 ? 1 + seed : `${1 + seed}kB`
  const format = output['format'] as string
  if (['megatron', 'datatrove', 'numpy', 'datasets', 'litdata'].includes(format) && output['compression'] === 'zstd')
    output['compression'] = 'auto'
  if (format === 'numpy' && output['columns'] !== null) output['columns'] = ['label_mask']
  if (['mds', 'megatron', 'datatrove', 'litdata', 'jsonl', 'memory'].includes(format)) output['columns'] = null
  const columns = (output['columns'] ?? []) as string[]
  output['maskFirst'] &&= columns.some((column) => ['labels', 'label_mask', 'loss_weights'].includes(column))
  const { minTokens, maxTokens } = options as { minTokens: number; maxTokens: number | null }
  if (maxTokens !== null) options['maxTokens'] = Math.max(minTokens, maxTokens)
  return options as Options
}
