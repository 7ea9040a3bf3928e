// The options of a run: the only place that holds defaults and messages. The core's types have neither; a test keeps the two equal.
// The API's options, the config file and the CLI's flags all come from here.
import { z } from 'zod'

const MiB = 2 ** 20
const units: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: MiB,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** Bytes as a number, or as text with a unit: `2GiB`, `512 MiB`, `1e9`. */
function bytes(text: string): number {
  const match = /^([\d.]+(?:e\d+)?)\s*([kmgt]?i?b)?$/i.exec(text.trim())
  return match ? Math.round(Number(match[1]) * (units[(match[2] ?? 'b').toLowerCase()] ?? Number.NaN)) : Number.NaN
}
const size = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  z
    .union([z.number(), z.string().transform(bytes)])
    .pipe(z.int({ error: 'must be a number of bytes, like 1073741824 or "1GiB"' }).min(least).max(most))
const count = (least: number, most = Number.MAX_SAFE_INTEGER) => z.int().min(least).max(most)
const text = z.string().min(1)
const local = text.refine((path) => !/^[a-z][a-z0-9+.-]*:\/\//i.test(path), {
  error: 'must be a local directory; `output.upload` sends finished files to a URL',
})
const token = (forms: string, pattern: RegExp) => z.string().regex(pattern, { error: `must be ${forms}` })

const pool = z.enum(['keyworded', 'all'])
const fill = z.enum(['next', 'related', 'drop', 'pad'])

const quest = z.strictObject({
  name: z.literal('quest').describe('how documents are put together'),
  pool: pool.default('keyworded').describe('documents to draw from: those with a keyword, or all'),
  splitRatio: z.number().min(0).max(1).default(0.2).describe('share of the keywords that the short set may reach'),
  splitBy: z.enum(['keywords', 'documents', 'tokens']).default('keywords').describe('what splitRatio counts'),
  oversample: z.number().min(1).default(2).describe('uses of a short list in an epoch, a real number'),
  shortShare: z
    .number()
    .gt(0)
    .lt(1)
    .nullable()
    .default(null)
    .describe('share of the tokens that the short set is to make up, instead of oversample'),
  minKeywordDocuments: count(1, 2 ** 32 - 1)
    .default(2)
    .describe('keywords with fewer documents are used once, never oversampled'),
  fill: fill.default('related').describe('what happens to what is left of a group'),
})
const standard = z.strictObject({
  name: z.literal('standard').describe('how documents are put together'),
  pool: pool.default('all').describe('documents to draw from'),
  fill: z.enum(['next', 'drop', 'pad']).default('next').describe('what happens to what is left at the end'),
})
const tails = z.enum(['next', 'drop', 'pad']).default('next').describe('what happens to what is left of a group')
const knn = z.strictObject({
  name: z.literal('knn').describe('how documents are put together'),
  pool: pool.default('all').describe('documents to draw from'),
  k: count(1, 65_536).default(20).describe('neighbours of a document or chunk that are looked for'),
  fill: tails,
})
const iclm = z.strictObject({
  name: z.literal('iclm').describe('how documents are put together'),
  pool: pool.default('all').describe('documents to draw from'),
  k: count(1, 65_536).default(10).describe('neighbours of a document or chunk that are looked for'),
  variant: z
    .enum(['paper', 'release'])
    .default('paper')
    .describe("the path of the paper, or that of the authors' code"),
  fill: tails,
})
const long = z.strictObject({
  name: z.literal('long').describe('how documents are put together'),
  pool: pool.default('all').describe('documents to draw from'),
  threshold: count(1, 2 ** 32 - 1)
    .default(4096)
    .describe('fewest tokens of a long document'),
  mode: z
    .enum(['filter', 'upsample'])
    .default('filter')
    .describe('long documents alone, or more of them within each source'),
  longShare: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.7)
    .describe("upsample: share of a source's tokens that long documents are to make up"),
  fill: tails,
})
const nextlong = z.strictObject({
  name: z.literal('nextlong').describe('how documents are put together'),
  pool: pool.default('all').describe('documents to draw from'),
  k: count(1, 65_536).default(64).describe('neighbours of a document or chunk that are looked for'),
  chunkChars: count(1, 2 ** 31 - 1)
    .default(2048)
    .describe('most characters of a chunk of lines; a longer line is a chunk alone'),
  reuse: z
    .enum(['sequence', 'run'])
    .default('sequence')
    .describe('a chunk is a neighbour once in a group, or once in an epoch'),
  // The authors advise to leave out what does not fill a sequence.
  fill: z.enum(['next', 'drop', 'pad']).default('drop').describe('what happens to what is left of a group'),
})
const methods = { quest, standard, knn, iclm, long, nextlong }

/** Where and how a model runs; shared by query models and embedders. */
export const modelRun = {
  device: token('auto, cpu, cuda or cuda:N', /^(auto|cpu|cuda(:\d{1,4})?)$/)
    .default('auto')
    .describe('onnx: cpu, cuda, cuda:N, or auto for the first GPU that can be used'),
  batchTokens: count(1, 2 ** 32 - 1)
    .default(8192)
    .describe('onnx: tokens of an encoder batch, padding counted'),
  tf32: z.boolean().default(true).describe('onnx: let a GPU round the inputs of fp32 products to TF32'),
  deviceMemory: size(1).nullable().default(null).describe("onnx: bytes of a GPU's memory to use; else all"),
  onnxRuntime: text
    .nullable()
    .default(null)
    .describe('onnx: path of the ONNX Runtime library; else ONNXRUNTIME_LIB, onnxruntime-node, the system'),
}
/** How a query model writes. */
export const generation = {
  prefix: z.string().nullable().default(null).describe("onnx: text before every segment; else the model's own"),
  decoding: z.enum(['sample', 'greedy']).default('sample').describe('onnx: draw tokens, or take the likeliest'),
  temperature: z.number().gt(0).default(1).describe('onnx: of sampling, what logits are divided by'),
  topK: count(0, 2 ** 32 - 1)
    .default(25)
    .describe('onnx: of sampling, how many of the likeliest tokens are left; 0 for all'),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(0.95)
    .describe('onnx: of sampling, of these the fewest that reach this probability'),
  queriesPerSegment: count(1, 2 ** 16)
    .default(1)
    .describe('onnx: queries of a segment; more than one need sampling'),
  maxQueryTokens: count(1, 2 ** 16)
    .default(64)
    .describe('onnx: most tokens of a query'),
  decodeRows: count(1, 2 ** 32 - 1)
    .default(64)
    .describe('onnx: rows of a decoder batch'),
}

const queries = z.strictObject({
  predictor: z.enum(['extractive', 'precomputed', 'onnx']).default('extractive').describe('where queries come from'),
  file: text.nullable().default(null).describe('file of {id, query | queries} for precomputed; else queryField'),
  segmentTokens: count(1, 2 ** 32 - 1)
    .default(384)
    .describe('tokens of a segment of a long document, each of which has a query'),
  model: text
    .nullable()
    .default(null)
    .describe('onnx: directory of the exported model, or doc2query-mini, which comes with longweave'),
  ...modelRun,
  ...generation,
  checkpointSeconds: z
    .number()
    .min(0)
    .default(20)
    .describe('onnx: most seconds of work that an interruption costs, about'),
})
const keywords = z.strictObject({
  stopWords: text.default('smart').describe('smart, fox, or a file with one word a line'),
  minScore: z.number().default(3).describe('least RAKE score of a keyword'),
  boilerplate: z.enum(['builtin', 'none']).default('builtin').describe('list of phrases that never become keywords'),
  boilerplatePhrases: z
    .array(text)
    .default([])
    .describe('phrases added to that list, such as the navigation of a site'),
  representative: z
    .enum(['common', 'random'])
    .default('common')
    .describe("how a document's keyword is chosen among its candidates"),
  maxKeywordShare: z
    .number()
    .gt(0)
    .max(1)
    .default(0.002)
    .describe('common: largest share of the documents that may have the same keyword'),
  minKeywordCap: count(1, 2 ** 32 - 1)
    .default(50)
    .describe('common: number of documents that may always have the same keyword'),
  hierarchy: z.enum(['affinity', 'suffix', 'vectors']).default('affinity').describe('what fill: related climbs'),
})
const vectors = z.strictObject({
  source: z.enum(['tfidf', 'onnx', 'file']).default('tfidf').describe('where vectors of documents come from'),
  file: text
    .nullable()
    .default(null)
    .describe('file: .npy with a row for each row of the corpus (nextlong: each chunk), or Parquet of {id, vector}'),
  dimensions: count(1, 4096).default(256).describe('tfidf: numbers of a vector'),
  sample: count(1, 2 ** 24)
    .default(8192)
    .describe('tfidf: documents that the projection is fitted on'),
  model: text.nullable().default(null).describe('onnx: directory of the exported encoder'),
  ...modelRun,
  pooling: z.enum(['auto', 'mean', 'cls']).default('auto').describe("onnx: how tokens' vectors become one"),
  prefix: z.string().default('').describe('onnx: text before every text, as some encoders want'),
  maxTokens: count(1, 2 ** 20)
    .nullable()
    .default(null)
    .describe("onnx: most tokens of a text; else the model's own bound"),
})
const neighbours = z.strictObject({
  search: z
    .enum(['auto', 'exact', 'inverted'])
    .default('auto')
    .describe('all pairs, or inverted lists; auto: exact up to 20,000 vectors'),
  lists: count(1, 2 ** 24)
    .nullable()
    .default(null)
    .describe('inverted: number of lists; else four times the root of the number of vectors'),
  probes: count(1, 2 ** 24)
    .nullable()
    .default(null)
    .describe('inverted: lists that are searched for a vector; else 32'),
  recallSample: count(0, 2 ** 20)
    .default(256)
    .describe('inverted: vectors whose exact neighbours are found too, to tell the recall'),
})
const output = z.strictObject({
  directory: local.nullable().default(null).describe('where the output goes'),
  upload: text
    .regex(/^s3:\/\/[^/]/, { error: 'must be s3://bucket/prefix' })
    .nullable()
    .default(null)
    .describe('URL (s3://bucket/prefix) that finished files are sent to, instead of staying in the output directory'),
  format: z
    .enum(['parquet', 'mds', 'megatron', 'datatrove', 'jsonl', 'memory'])
    .default('parquet')
    .describe('the format; memory hands sequences out'),
  provenance: z.enum(['full', 'ids', 'none']).default('full').describe("what is told of each sequence's pieces"),
  shardTokens: count(1)
    .default(2 ** 26)
    .describe('tokens of an output shard, about'),
  compression: z
    .enum(['auto', 'zstd', 'none'])
    .default('auto')
    .describe(
      'of the files with sequences; auto: zstd for parquet and jsonl, none for mds; megatron and datatrove have none',
    ),
  mdsIndices: z.enum(['sequence', 'document']).default('sequence').describe('attention spans that MDS readers see'),
  mdsShardBytes: size(1, 2 ** 32 - 1)
    .nullable()
    .default(null)
    .describe('most bytes of an MDS file, before compression; else a file a shard'),
})

const shape = {
  corpus: z
    .union([
      text.transform((path) => [path]),
      z.array(text).min(1, { error: 'must name at least one file, directory or glob' }),
    ])
    .nullable()
    .describe('files, directories and globs, or URLs (s3://, https://)'),
  corpusRoot: text.nullable().default(null).describe('directory, or URL, that paths of files are relative to'),
  textField: text.default('text').describe('field or column of the text'),
  idField: text.nullable().default(null).describe('field or column of the id; else path:row'),
  queryField: text.nullable().default(null).describe('field or column of precomputed queries'),
  sourceField: text.nullable().default(null).describe('field or column of the source'),
  onBadRow: z
    .enum(['fail', 'skip'])
    .default('fail')
    .describe(
      'a row that cannot be used: an error, or a line of rejects.jsonl; its queryField that cannot be read: an error, or no query',
    ),
  onDuplicateId: z.enum(['fail', 'suffix']).default('fail').describe('an id that comes again: an error, or id#2'),
  maxDocumentBytes: size(1)
    .default(64 * MiB)
    .describe('a larger document is a bad row'),
  splitBytes: size(1)
    .default(64 * MiB)
    .describe('part of the corpus that one task reads'),
  tokenizer: text.describe('path of a tokenizer.json'),
  queries: queries.prefault({}),
  keywords: keywords.prefault({}),
  vectors: vectors.prefault({}),
  neighbours: neighbours.prefault({}),
  method: z
    .union([
      z
        .enum(['quest', 'standard', 'knn', 'iclm', 'long', 'nextlong'])
        .transform((name) => methods[name].parse({ name })),
      z.discriminatedUnion('name', [quest, standard, knn, iclm, long, nextlong]),
    ])
    .prefault('quest'),
  length: count(1, 2 ** 31 - 1).describe('tokens of a sequence'),
  tokens: count(1)
    .nullable()
    .default(null)
    .describe('tokens of the output, over as many epochs as it takes; else one epoch'),
  seed: count(0).default(0).describe('seed of every draw'),
  separator: token('auto, none, token:TEXT or text:TEXT', /^(auto|none|token:.+|text:[\s\S]+)$/)
    .default('auto')
    .describe('token at the end of a document: auto, none, token:TEXT or text:TEXT'),
  bos: z.enum(['none', 'sequence', 'document']).default('none').describe('where begin tokens stand'),
  bosToken: token('auto or token:TEXT', /^(auto|token:.+)$/)
    .default('auto')
    .describe('the begin token: auto or token:TEXT'),
  padToken: token('auto or token:TEXT', /^(auto|token:.+)$/)
    .default('auto')
    .describe('the padding token: auto or token:TEXT'),
  overflow: z
    .enum(['split', 'truncate', 'whole'])
    .default('split')
    .describe('a document that crosses the end of a sequence'),
  incomplete: z
    .enum(['drop', 'pad'])
    .default('drop')
    .describe('what becomes of the sequence that is not full at the end of an epoch'),
  minTokens: count(0, 2 ** 32 - 1)
    .default(1)
    .describe('fewest tokens of a document'),
  maxTokens: count(1, 2 ** 32 - 1)
    .nullable()
    .default(null)
    .describe('most tokens of a document'),
  maxUses: count(1, 2 ** 32 - 1)
    .nullable()
    .default(null)
    .describe('most uses of a document over passes and epochs'),
  holdout: z.number().min(0).max(1).default(0).describe('share of documents set aside as a second output'),
  dedup: z.enum(['none', 'exact']).default('none').describe('duplicates that are left out'),
  output: output.prefault({}),
  work: local
    .nullable()
    .default(null)
    .describe('work directory, shared by runs over one corpus; else .work in the output directory'),
  threads: count(0, 4096).default(0).describe('threads; 0 for one per core'),
  memory: size(16 * MiB)
    .default(2 * 2 ** 30)
    .describe('bytes of heap for tokenizing, predicting and packing'),
  packing: z
    .enum(['auto', 'gather', 'scatter'])
    .default('auto')
    .describe(
      'how tokens reach the output: read where documents stand, or first written in the order of the plan; the bytes are the same',
    ),
  diskCheck: z
    .enum(['refuse', 'warn', 'off'])
    .default('refuse')
    .describe('what happens where what is to be written does not fit on the disk'),
  clean: z
    .enum(['none', 'sealed'])
    .default('none')
    .describe("sealed: results in the work directory that this run's stages left go once the output is sealed"),
}

/** The schema of a run's options. */
export const optionsSchema = z.strictObject(shape)

/** Options as users give them: everything but `corpus`, `tokenizer`, `length` and, unless in memory, `output.directory` has a default. */
export type Options = z.input<typeof optionsSchema>
/** Options with every choice made. */
export type ResolvedOptions = z.output<typeof optionsSchema>

/** What the presets change of the defaults. `paper`: wherever the Quest paper speaks, what it says. */
export const presets = {
  paper: {
    keywords: { representative: 'random', minScore: 3 },
    method: { name: 'quest', pool: 'keyworded', splitRatio: 0.2, fill: 'next' },
  },
} as const satisfies Record<string, { keywords: Partial<z.input<typeof keywords>>; method: z.input<typeof quest> }>

/** Bytes from a number or a text with a unit, like `2GiB`. */
export function resolveSize(value: string): number {
  return size(1).parse(value)
}

/** The name of a preset. */
export type Preset = keyof typeof presets

/** The schema as JSON Schema, for editors and config files. */
export function optionsJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(optionsSchema, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>
}
