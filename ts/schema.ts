// The options of a run: the only place that holds defaults and messages. The core's types have neither; a test keeps the two equal.
// The API's options, the config file and the CLI's flags all come from here.
import * as z from 'zod'
import { bytes } from './bytes.ts'

const MiB = 2 ** 20
const notBytes = 'must be a number of bytes, like 1073741824, "1GiB" or "1G"'

const size = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  z
    .union([
      z.number(),
      z.string({ error: notBytes }).transform((text, context) => {
        const number = bytes(text)
        if (Number.isNaN(number)) context.issues.push({ code: 'custom', message: notBytes, input: text })
        return number
      }),
    ])
    .pipe(
      z
        .int({ error: notBytes })
        .min(least, { error: `must be at least ${least} bytes` })
        .max(most, { error: `must be at most ${most} bytes` }),
    )
    .meta({ form: 'bytes', minimum: least, maximum: most })
const count = (least: number, most = Number.MAX_SAFE_INTEGER) => z.int().min(least).max(most)
const text = z.string().min(1)
const notBadRows = 'must be a share of all rows below 100%, like "0.1%", or a number of rows'
/** A share of all rows below 1, or a number of rows. */
const badRows = z
  .union([
    z.number(),
    z.string({ error: notBadRows }).transform((given, context) => {
      const [, number, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(given.trim()) ?? []
      if (number === undefined) context.issues.push({ code: 'custom', message: notBadRows, input: given })
      const most = Number(number) / (percent === '%' ? 100 : 1)
      if (percent === '%' && most >= 1) context.issues.push({ code: 'custom', message: notBadRows, input: given })
      return most
    }),
  ])
  .pipe(
    z
      .number({ error: notBadRows })
      .min(0, { error: notBadRows })
      .refine((most) => most < 1 || Number.isInteger(most), { error: notBadRows }),
  )
  .meta({ form: 'share' })
/** The fields of published corpora as they are distributed. One without an id that is unique has ids of path and row. */
export const corpusPresets = {
  c4: { textField: 'text' },
  'common-corpus': { textField: 'text', idField: 'identifier', sourceField: 'collection' },
  cosmopedia: { textField: 'text', sourceField: 'seed_data' },
  culturax: { textField: 'text', sourceField: 'source' },
  dclm: { textField: 'text', idField: 'metadata.WARC-Record-ID' },
  dolma: { textField: 'text', idField: 'id', sourceField: 'source' },
  fineweb: { textField: 'text', idField: 'id', sourceField: 'dump' },
  fineweb2: { textField: 'text', idField: 'id', sourceField: 'language' },
  oscar: {
    textField: 'content',
    idField: 'warc_headers.warc-record-id',
    sourceField: 'metadata.identification.label',
  },
  peS2o: { textField: 'text', idField: 'id', sourceField: 'source' },
  pile: { textField: 'text', sourceField: 'meta.pile_set_name' },
  redpajama: { textField: 'text', sourceField: 'red_pajama_subset' },
  redpajama2: { textField: 'raw_content', sourceField: 'language' },
  slimpajama: { textField: 'text', sourceField: 'meta.redpajama_set_name' },
  'the-stack': { textField: 'content', idField: 'hexsha', sourceField: 'lang' },
  wikipedia: { textField: 'text', idField: 'id' },
} as const satisfies Record<string, { textField: string; idField?: string; sourceField?: string }>

/** Names in a corpus' directories that are not documents: those of Spark, Delta, Hugging Face, tokenizers and systems. */
export const skipped = [
  '.*',
  '_*',
  '*.crc',
  'cache-*.arrow',
  'dataset_info.json',
  'dataset_infos.json',
  'dataset_dict.json',
  'state.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
  'config.json',
  'package.json',
  'requirements.txt',
  'longweave.json',
]
/** `NAME=NUMBER`, divided at the last `=`. */
const share = (given: string): [string, number] => {
  const at = given.lastIndexOf('=')
  return [given.slice(0, at), Number(given.slice(at + 1))]
}
const notShare = (what: string) => `must be a list of ${what}, the part a number`
/** Weights by name: an object, or `NAME=WEIGHT` each. */
const weights = z
  .union([
    z.array(z.string().regex(/^.+=\d+(\.\d+)?$/s, { error: notShare('NAME=WEIGHT') })).transform((given, context) => {
      const all = given.map(share)
      const again = all.find(([name], at) => all.findIndex(([other]) => other === name) < at)
      if (again !== undefined)
        context.issues.push({ code: 'custom', message: `names "${again[0]}" more than once`, input: given })
      return Object.fromEntries(all)
    }),
    z.record(z.string().min(1), z.number().min(0)),
  ])
  .meta({ form: 'shares' })
/** Lengths with their shares: objects, or `LENGTH=SHARE` each. */
const lengthShares = z
  .array(
    z.union([
      z
        .string()
        .regex(/^\d+=\d+(\.\d+)?$/, { error: notShare('LENGTH=SHARE') })
        .transform((given) => {
          const [length, part] = share(given)
          return { length: Number(length), share: part }
        })
        .pipe(z.strictObject({ length: count(1, 2 ** 31 - 1), share: z.number().gt(0) })),
      z.strictObject({ length: count(1, 2 ** 31 - 1), share: z.number().gt(0) }),
    ]),
  )
  .meta({ form: 'lengths' })
const local = text
  .refine((path) => !/^[a-z][a-z0-9+.-]*:\/\//i.test(path), {
    error: 'must be a local directory; `output.upload` sends finished files to a URL',
  })
  .meta({ form: 'local' })
const token = (forms: string, pattern: RegExp) => z.string().regex(pattern, { error: `must be ${forms}` })
const marker = token('none, token:TEXT or text:TEXT', /^(none|token:.+|text:[\s\S]+)$/)

/** The topics by which help and docs/options.md group the options, in their order. */
export const sections = {
  corpus: 'Corpus',
  tokenizer: 'Tokenizer',
  method: 'Method',
  queries: 'Queries',
  'query-model': 'Query model (predictor onnx)',
  keywords: 'Keywords',
  vectors: 'Vectors and neighbours',
  topics: 'Topics',
  sequences: 'Sequences',
  output: 'Output',
  resources: 'Resources',
  engine: 'Engine',
} as const
/** The name of a topic. */
export type Section = keyof typeof sections

/** How people meet an option: the JSON Schema keeps it under the key `option`. */
export interface OptionMeta {
  section: Section
  /** The flag, without dashes. It means something without its section. */
  flag: string
  /** The word for its value in help; null where the choices, or the type, say it. */
  value: string | null
  /** When to change it, a sentence. */
  when: string
  /** Whether help shows it without `--all`. */
  common: boolean
  /** Of a switch: the values that `--flag` and `--no-flag` set. */
  on: string | boolean
  off: string | boolean
}

/** Options of a topic: `flag` is like `--memory SIZE`, `description` says what the option does and `when` when to change it. */
const optionsIn =
  (section: Section) =>
  <T extends z.ZodType>(
    type: T,
    flag: string,
    description: string,
    when: string,
    more: Partial<Pick<OptionMeta, 'common' | 'on' | 'off'>> = {},
  ): T => {
    const [name = '', value = null] = flag.slice(2).split(' ')
    const option: OptionMeta = { section, flag: name, value, when, common: false, on: true, off: false, ...more }
    return type.meta({ description, option })
  }
const inCorpus = optionsIn('corpus')
const inTokenizer = optionsIn('tokenizer')
const inMethod = optionsIn('method')
const inQueries = optionsIn('queries')
const inQueryModel = optionsIn('query-model')
const inKeywords = optionsIn('keywords')
export const inVectors = optionsIn('vectors')
const inTopics = optionsIn('topics')
const inSequences = optionsIn('sequences')
const inOutput = optionsIn('output')
const inResources = optionsIn('resources')
const inEngine = optionsIn('engine')

const common = { common: true }
const fill = z.enum(['next', 'related', 'drop', 'pad'])
const withoutRelated = z.enum(['next', 'drop', 'pad'])

const ofMethod = {
  name: <N extends string>(name: N) =>
    inMethod(
      z.literal(name),
      '--method NAME',
      'How documents are put together.',
      'Change it to compare methods over one corpus: `standard` is the random baseline, `knn` and `iclm` follow neighbours, `long` takes long documents, `nextlong` adds negatives to chunks, `topics` finds documents for topics, `interleave` mixes parts of documents.',
      common,
    ),
  pool: <T extends z.ZodType>(type: T) =>
    inMethod(
      type,
      '--pool SET',
      'Documents to draw from: those with a keyword, or all.',
      'Set `keyworded` for every method of a comparison, so that all of them use the same documents.',
    ),
  fill: <T extends z.ZodType>(type: T) =>
    inMethod(
      type,
      '--fill RULE',
      'The fate of the leftover of a group, which is shorter than a sequence: `related` combines it with leftovers of related keywords, `next` with any, `drop` removes it, `pad` fills the sequence with padding.',
      'Use `drop` for the purest sequences, `next` to follow the Quest paper.',
      common,
    ),
  k: <T extends z.ZodType>(type: T) =>
    inMethod(
      type,
      '--neighbours-k N',
      'Most neighbours of a document or chunk.',
      'Raise it when many neighbours are used up and groups end early; the search then takes longer.',
    ),
  chunkChars: () =>
    inMethod(
      count(1, 2 ** 31 - 1).default(2048),
      '--chunk-chars N',
      'Most characters of a chunk, which is made of whole lines; a longer line is a chunk alone.',
      'Raise it for long sequences, so that fewer chunks are searched.',
    ),
  reuse: () =>
    inMethod(
      z.enum(['sequence', 'run']).default('sequence'),
      '--chunk-reuse SCOPE',
      'Where a chunk is a neighbour at most once: in a group, or in an epoch.',
      'Use `run` to see no chunk twice; more groups then end early.',
    ),
}
const pool = z.enum(['keyworded', 'all'])

const quest = z.strictObject({
  name: ofMethod.name('quest'),
  pool: ofMethod.pool(pool.default('keyworded')),
  splitRatio: inMethod(
    z.number().min(0).max(1).default(0.2),
    '--quest-split-ratio SHARE',
    'Share of the keywords, rarest first, that form the short set, which is oversampled.',
    'Raise it when more of the rare keywords should be repeated; 0 repeats none.',
  ),
  splitBy: inMethod(
    z.enum(['keywords', 'documents', 'tokens']).default('keywords'),
    '--quest-split-by UNIT',
    'The unit of the split ratio: keywords, their documents, or their tokens.',
    'Use `tokens` when you think of the short set as a share of the corpus.',
  ),
  oversample: inMethod(
    z.number().min(1).default(2),
    '--quest-oversample TIMES',
    'How often an epoch uses the documents of a keyword of the short set; a fraction is drawn for each keyword.',
    'Lower it to 1 to repeat nothing, raise it when rare subjects should weigh more.',
  ),
  shortShare: inMethod(
    z.number().gt(0).lt(1).nullable().default(null),
    '--quest-short-share SHARE',
    'Share of the tokens that the short set should reach; `oversample` follows from it.',
    'Set it instead of `oversample` when you know the share: the paper advises 0.1 to 0.3.',
  ),
  minKeywordDocuments: inMethod(
    count(1, 2 ** 32 - 1).default(2),
    '--min-keyword-documents N',
    'Fewest documents of a keyword that can be oversampled; those of rarer keywords are used once.',
    'Raise it when groups of a few documents are noise in your corpus.',
  ),
  fill: ofMethod.fill(fill.default('related')),
})
const standard = z.strictObject({
  name: ofMethod.name('standard'),
  pool: ofMethod.pool(pool.default('all')),
  fill: ofMethod.fill(withoutRelated.default('next')),
})
const knn = z.strictObject({
  name: ofMethod.name('knn'),
  pool: ofMethod.pool(pool.default('all')),
  k: ofMethod.k(count(1, 65_536).default(20)),
  fill: ofMethod.fill(withoutRelated.default('next')),
})
const iclm = z.strictObject({
  name: ofMethod.name('iclm'),
  pool: ofMethod.pool(pool.default('all')),
  k: ofMethod.k(count(1, 65_536).default(10)),
  variant: inMethod(
    z.enum(['paper', 'release']).default('paper'),
    '--iclm-variant NAME',
    "The path through the documents: the paper's, or that of the authors' code.",
    'Use `release` to reproduce data made with their code.',
  ),
  fill: ofMethod.fill(withoutRelated.default('next')),
})
const long = z.strictObject({
  name: ofMethod.name('long'),
  pool: ofMethod.pool(pool.default('all')),
  threshold: inMethod(
    count(1, 2 ** 32 - 1).default(4096),
    '--long-threshold TOKENS',
    'Fewest tokens of a long document.',
    'Raise it with the length of the sequences; the summary says how many documents are left.',
  ),
  mode: inMethod(
    z.enum(['filter', 'upsample']).default('filter'),
    '--long-mode MODE',
    '`filter` keeps long documents only; `upsample` repeats them within each source and keeps the others.',
    'Use `upsample` when the mix of sources must stay as it is.',
  ),
  longShare: inMethod(
    z.number().gt(0).lt(1).default(0.7),
    '--long-share SHARE',
    "With `upsample`: share of a source's tokens that long documents should reach.",
    'Lower it when long documents would be repeated too often.',
  ),
  fill: ofMethod.fill(withoutRelated.default('next')),
})
const nextlong = z.strictObject({
  name: ofMethod.name('nextlong'),
  pool: ofMethod.pool(pool.default('all')),
  k: ofMethod.k(count(1, 65_536).default(64)),
  chunkChars: ofMethod.chunkChars(),
  reuse: ofMethod.reuse(),
  // The authors advise to leave out what does not fill a sequence.
  fill: ofMethod.fill(withoutRelated.default('drop')),
})
const topicsMethod = z.strictObject({
  name: ofMethod.name('topics'),
  pool: ofMethod.pool(pool.default('all')),
  documents: inMethod(
    count(1, 65_536).default(256),
    '--topic-documents N',
    'Most documents that are found for a topic.',
    'Raise it when topics have too few documents to fill their sequences.',
  ),
  order: inMethod(
    z.enum(['shuffle', 'score', 'reversed']).default('shuffle'),
    '--topic-order ORDER',
    "Order of a topic's documents: random, the best first, or the best last.",
    'Use `reversed` to put the most relevant documents last.',
  ),
  sequences: inMethod(
    count(1, 2 ** 32 - 1).default(4),
    '--topic-sequences N',
    'Most sequences of a topic in an epoch; its least relevant documents are left out.',
    'Lower it for sequences that keep closer to their topics.',
  ),
  within: inMethod(
    z.enum(['documents', 'nextlong']).default('documents'),
    '--topic-within KIND',
    "Content of a topic's sequences: its documents, or chunks of one of them with negatives between, as `nextlong` makes them.",
    'Use `nextlong` to train dependencies over the whole sequence; chunks then need vectors.',
  ),
  k: ofMethod.k(count(1, 65_536).default(64)),
  chunkChars: ofMethod.chunkChars(),
  reuse: ofMethod.reuse(),
  fill: ofMethod.fill(withoutRelated.default('next')),
})
const interleave = z.strictObject({
  name: ofMethod.name('interleave'),
  pool: ofMethod.pool(pool.default('all')),
  groupDocuments: inMethod(
    count(1, 2 ** 32 - 1)
      .nullable()
      .default(null),
    '--interleave-documents N',
    'Documents of a group; without it, as many as fill a sequence.',
    'Set it when each sequence should mix few long documents.',
  ),
  parts: inMethod(
    count(1, 2 ** 31 - 1).default(4),
    '--interleave-parts N',
    'Parts of equal length that a document is cut into.',
    'Raise it to spread each document further.',
  ),
  partTokens: inMethod(
    count(1, 2 ** 31 - 1)
      .nullable()
      .default(null),
    '--interleave-part-tokens N',
    'Tokens of a part, in place of the number of parts.',
    'Set it when parts of long and short documents should be equally long.',
  ),
  partEnd: inMethod(
    marker.default('none'),
    '--interleave-part-end TOKEN',
    'Marker at the end of each part but the last of its document: none, token:TEXT or text:TEXT.',
    'Set it when the model should see that the document continues elsewhere.',
  ),
  partBegin: inMethod(
    marker.default('none'),
    '--interleave-part-begin TOKEN',
    'Marker at the beginning of each part but the first of its document, as `--interleave-part-end`.',
    'Set it when the model should see that the document began elsewhere.',
  ),
  partOrder: inMethod(
    z.enum(['turns', 'shuffle', 'shuffleInOrder']).default('turns'),
    '--interleave-order ORDER',
    'Parts follow in turn, a part of each document, or in random order; with shuffleInOrder the parts of each document keep theirs.',
    'Use `shuffle` or `shuffleInOrder` to follow Untie the Knots.',
  ),
  fill: ofMethod.fill(withoutRelated.default('next')),
})
const methods = { quest, standard, knn, iclm, long, nextlong, topics: topicsMethod, interleave }

/** Where and how a model runs; shared by query models and embedders. `prefix` begins the flags; it is empty where a command has one model. */
export function modelRun(prefix: 'query-' | 'vectors-' | '') {
  const option = prefix === 'vectors-' ? inVectors : inQueryModel
  const begin = (sentence: string) =>
    prefix === 'vectors-' ? `With an encoder: ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}` : sentence
  return {
    device: option(
      token('auto, cpu, cuda or cuda:N', /^(auto|cpu|cuda(:\d{1,4})?)$/).default('auto'),
      `--${prefix}device DEVICE`,
      begin('Where the model runs: cpu, cuda, cuda:N, or auto for the first usable GPU, else the CPU.'),
      'Set `cuda` when the run must fail instead of falling back to the CPU.',
    ),
    batchTokens: option(
      count(1, 2 ** 32 - 1).default(8192),
      `--${prefix}batch-tokens N`,
      begin('Tokens of an encoder batch, padding included.'),
      'Raise it when the GPU is not busy, lower it when its memory is too small.',
    ),
    tf32: option(
      z.boolean().default(true),
      `--${prefix}tf32`,
      begin('Lets a GPU round the inputs of fp32 products to TF32.'),
      'Switch it off when results must match those of a CPU more closely; fp32 models are then slower.',
    ),
    deviceMemory: option(
      size(1).nullable().default(null),
      `--${prefix}device-memory SIZE`,
      begin("Most memory of a GPU to use, like 8GiB; without it, all of the GPU's memory."),
      'Set it when the GPU is shared.',
    ),
    onnxRuntime: option(
      text.nullable().default(null),
      `--${prefix}onnx-runtime FILE`,
      begin('Path of the ONNX Runtime library; without it, ONNXRUNTIME_LIB, onnxruntime-node, then the system.'),
      'Set it for your own build of ONNX Runtime.',
    ),
  }
}
/** How a query model writes. */
export const generation = (prefix: 'query-' | '') => ({
  prefix: inQueryModel(
    z.string().nullable().default(null),
    `--${prefix}prefix TEXT`,
    "Text before every segment; without it, the model's own.",
    'Set it when the model knows several tasks, like "text2query: ".',
  ),
  decoding: inQueryModel(
    z.enum(['sample', 'greedy']).default('sample'),
    `--${prefix}decoding RULE`,
    'Draws the tokens of a query, or takes the likeliest ones.',
    'Use `greedy` when you compare models; the Quest paper samples.',
  ),
  temperature: inQueryModel(
    z.number().gt(0).default(1),
    `--${prefix}temperature N`,
    'When sampling: divides the logits.',
    'Lower it when queries leave the subject of their document.',
  ),
  topK: inQueryModel(
    count(0, 2 ** 32 - 1).default(25),
    `--${prefix}top-k N`,
    'When sampling: how many of the likeliest tokens remain; 0 for all.',
    'Lower it when queries leave the subject of their document.',
  ),
  topP: inQueryModel(
    z.number().gt(0).max(1).default(0.95),
    `--${prefix}top-p SHARE`,
    'When sampling: of these, the fewest tokens that reach this probability remain.',
    'Set 1 to limit the tokens by number alone.',
  ),
  queriesPerSegment: inQueryModel(
    count(1, 2 ** 16).default(1),
    '--queries-per-segment N',
    'Queries of a segment; more than one need sampling.',
    'Raise it when many documents get no keyword; prediction takes as many times as long.',
  ),
  maxQueryTokens: inQueryModel(
    count(1, 2 ** 16).default(64),
    '--max-query-tokens N',
    'Most tokens of a query.',
    'Lower it to 32 to save time: queries of these models are short.',
  ),
  decodeRows: inQueryModel(
    count(1, 2 ** 32 - 1).default(64),
    `--${prefix}decode-rows N`,
    'Rows of a decoder batch.',
    'Raise it when the GPU is not busy, lower it when its memory is too small.',
  ),
})
/** Tokens of a segment; shared by a run and `QueryPredictor`. */
export const segmentTokens = inQueries(
  count(1, 2 ** 32 - 1).default(384),
  '--segment-tokens N',
  'Tokens of a segment of a long document. Each segment has a query of its own.',
  'Raise it to predict fewer queries for long documents, up to what the model reads.',
)
/** Seed of a model's draws, outside a run. */
export const seed = inResources(
  count(0).default(0),
  '--seed N',
  'Seed of every draw.',
  'Change it for other queries of the same documents.',
)
/** Threads; shared by all that compute. */
export const threads = inResources(
  count(0, 4096).default(0),
  '--threads N',
  'Threads; 0 for one per core. Results do not depend on it.',
  'Lower it on a shared machine.',
  common,
)

/** Language of documents; shared by a run and `QueryPredictor`. */
export const language = inKeywords(
  text.default('auto'),
  '--language CODE',
  'Language of documents whose row names none, by its code, like de or zh; auto detects that of each document.',
  'Set it when all documents are in one language: short ones are then not mistaken for another language.',
)

const queries = z.strictObject({
  predictor: inQueries(
    z.enum(['extractive', 'precomputed', 'onnx']).default('extractive'),
    '--predictor KIND',
    'Where queries come from: phrases of the text itself, a field or file, or a doc2query model.',
    'Use `onnx` with `--query-model` to follow the paper, `precomputed` when you have queries.',
    common,
  ),
  file: inQueries(
    text.nullable().default(null),
    '--queries-file FILE',
    'JSONL or Parquet of {id, query | queries} for `precomputed`; without it, the query field.',
    'Set it when queries are stored apart from the corpus.',
  ),
  segmentTokens,
  model: inQueryModel(
    text.nullable().default(null),
    '--query-model DIR',
    'Directory of the exported model.',
    'Set it with `--predictor onnx`; docs/models.md says how to export a model.',
  ),
  ...modelRun('query-'),
  ...generation('query-'),
  checkpointSeconds: inQueryModel(
    z.number().min(0).default(20),
    '--query-checkpoint-seconds N',
    'Most seconds of prediction, about, that an interruption costs.',
    'Raise it when the work directory is on a slow network disk.',
  ),
})
const keywords = z.strictObject({
  language,
  stopWords: inKeywords(
    text.default('auto'),
    '--stop-words LIST',
    "Words that end a phrase: auto (the list of each document's language), smart or fox (English), a language's code, or a file with one word a line.",
    'Give a file for a language without a list, or for words of your own.',
  ),
  minScore: inKeywords(
    z.number().default(3),
    '--min-keyword-score N',
    'Least RAKE score of a keyword. A phrase of n different words scores n², so 3 excludes single words.',
    'Lower it to 1 to allow single words.',
  ),
  phrases: inKeywords(
    z.enum(['searchable', 'all']).default('searchable'),
    '--keyword-phrases KIND',
    'The phrases of English texts that can be keywords: what a person would search for, or all that RAKE finds. The first cuts verbs and adverbs at the edges, leaves out dates, directions, measures and phrases that say little where a document has others, and joins a phrase and its plural.',
    'Use `all` to follow the Quest paper.',
  ),
  boilerplate: inKeywords(
    z.enum(['builtin', 'none']).default('builtin'),
    '--boilerplate LIST',
    'List of phrases that are never keywords, like "following sentence".',
    'Use `none` for a corpus that is not English, or to keep every phrase.',
  ),
  boilerplatePhrases: inKeywords(
    z.array(text).default([]),
    '--boilerplate-phrases PHRASE',
    'Phrases to add to that list.',
    'Give it once for each phrase that `longweave keywords RUN` lists and that does not describe a document.',
  ),
  representative: inKeywords(
    z.enum(['common', 'random']).default('common'),
    '--representative-keyword RULE',
    "How a document's keyword is chosen: the candidate that most documents share, or a random one.",
    'Use `random` to follow the Quest paper on a large corpus.',
  ),
  maxKeywordShare: inKeywords(
    z.number().gt(0).max(1).default(0.002),
    '--max-keyword-share SHARE',
    'With `common`: largest share of the documents that one keyword can hold.',
    'Raise it when large groups are wanted, lower it when they are too general.',
  ),
  minKeywordCap: inKeywords(
    count(1, 2 ** 32 - 1).default(50),
    '--min-keyword-cap N',
    'With `common`: number of documents that a keyword can hold in a small corpus, whatever the share.',
    'Raise it when sequences of a small corpus mix too many keywords.',
  ),
  hierarchy: inKeywords(
    z.enum(['affinity', 'suffix', 'vectors']).default('affinity'),
    '--keyword-hierarchy KIND',
    'How leftovers are related, for `--fill related`: keywords with alike documents, keywords with the same last words, or documents with alike vectors.',
    'Use `vectors` for sequences closest to one subject, `suffix` when the index must be fast.',
  ),
})
const vectors = z.strictObject({
  source: inVectors(
    z.enum(['tfidf', 'onnx', 'file']).default('tfidf'),
    '--vectors SOURCE',
    'Where vectors of documents come from: their words, an encoder, or a file.',
    'Use `onnx` or `file` when documents with the same meaning share few words.',
  ),
  file: inVectors(
    text.nullable().default(null),
    '--vectors-file FILE',
    'With `file`: .npy with a row for each row of the corpus (nextlong: each chunk), or Parquet of {id, vector}.',
    'Set it with `--vectors file`.',
  ),
  dimensions: inVectors(
    count(1, 4096).default(256),
    '--vectors-dimensions N',
    'With `tfidf`: numbers of a vector.',
    'Lower it when memory or the time of the search is short.',
  ),
  sample: inVectors(
    count(1, 2 ** 24).default(8192),
    '--vectors-sample N',
    'With `tfidf`: documents that the projection is fitted on.',
    'Raise it for a corpus of many subjects.',
  ),
  model: inVectors(
    text.nullable().default(null),
    '--vectors-model DIR',
    'With an encoder: directory of the exported model.',
    'Set it with `--vectors onnx`; docs/models.md says how to export a model.',
  ),
  ...modelRun('vectors-'),
  pooling: inVectors(
    z.enum(['auto', 'mean', 'cls']).default('auto'),
    '--vectors-pooling RULE',
    "With an encoder: how the vectors of a text's tokens become one; auto as the model's files say, else the mean.",
    'Set it when the files of the model do not say it.',
  ),
  prefix: inVectors(
    z.string().default(''),
    '--vectors-prefix TEXT',
    'With an encoder: text before every text.',
    'Set it when the encoder was trained with one, like "passage: ".',
  ),
  maxTokens: inVectors(
    count(1, 2 ** 20)
      .nullable()
      .default(null),
    '--vectors-max-tokens N',
    "With an encoder: most tokens of a text; without it, the model's own bound.",
    'Lower it to save time: the beginning of a document often suffices.',
  ),
})
const neighbours = z.strictObject({
  search: inVectors(
    z.enum(['auto', 'exact', 'inverted']).default('auto'),
    '--neighbours-search KIND',
    'Compares all pairs, or inverted lists; auto is exact up to 20,000 vectors.',
    'Use `exact` when time allows it and no neighbour must be missed.',
  ),
  lists: inVectors(
    count(1, 2 ** 24)
      .nullable()
      .default(null),
    '--neighbours-lists N',
    'With inverted lists: their number; without it, four times the root of the number of vectors.',
    'Change it together with `--neighbours-probes` when the recall in the summary is too low.',
  ),
  probes: inVectors(
    count(1, 2 ** 24)
      .nullable()
      .default(null),
    '--neighbours-probes N',
    'With inverted lists: lists that are searched for a vector; without it, 32.',
    'Raise it when the recall in the summary is too low; the search takes longer.',
  ),
  recallSample: inVectors(
    count(0, 2 ** 20).default(256),
    '--neighbours-recall-sample N',
    'With inverted lists: vectors whose exact neighbours are found too, to measure the recall.',
    'Raise it for a more exact figure; 0 measures nothing.',
  ),
})
const topics = z.strictObject({
  source: inTopics(
    z.enum(['keywords', 'file', 'command']).default('keywords'),
    '--topics SOURCE',
    "Where topics come from: the documents' own keywords, a file, or the output of a command.",
    'Use `file` for topics of your own, `command` for those that a program or model writes.',
  ),
  file: inTopics(
    text.nullable().default(null),
    '--topics-file FILE',
    'With `file`: a topic a line, as text or as {"topic", "query"}; the query is searched for.',
    'Set it with `--topics file`.',
  ),
  command: inTopics(
    text.nullable().default(null),
    '--topics-command COMMAND',
    'With `command`: a command line for the shell that writes such lines. It runs once; the work directory keeps its output.',
    'Set it with `--topics command`.',
  ),
  most: inTopics(
    count(1, 2 ** 32 - 1).default(32_768),
    '--topics-most N',
    'With `keywords`: most topics; those with the most documents are taken.',
    'Raise it for a corpus of more than some million documents.',
  ),
  minDocuments: inTopics(
    count(1, 2 ** 32 - 1).default(5),
    '--topics-min-documents N',
    'With `keywords`: fewest documents of a keyword that becomes a topic.',
    'Raise it when rare keywords are noise, lower it for more topics.',
  ),
  match: inTopics(
    z.enum(['all', 'any']).default('all'),
    '--topics-match WORDS',
    'Words of a query that a document must have: all, or any of them. Words that half of the documents have count nothing.',
    'Use `any` when topics find too few documents.',
  ),
  k1: inTopics(
    z.number().min(0).default(1.2),
    '--bm25-k1 N',
    'How much more a word counts that a document has more often; at 0 not at all.',
    'Raise it when long, repetitive documents are the relevant ones.',
  ),
  b: inTopics(
    z.number().min(0).max(1).default(0.75),
    '--bm25-b N',
    'How much long documents are held back, from 0 to 1.',
    'Lower it when long documents should be found more often.',
  ),
})
const near = z.strictObject({
  threshold: inCorpus(
    z.number().gt(0).max(1).default(0.8),
    '--near-threshold SHARE',
    'With --dedup near: least Jaccard index of the runs of words of two documents that resemble each other.',
    'Lower it to leave out looser copies, like pages of one template.',
  ),
  words: inCorpus(
    count(1, 1024).default(5),
    '--near-words N',
    'With --dedup near: words of a run.',
    'Lower it for short documents, where one changed word changes most runs.',
  ),
  hashes: inCorpus(
    count(1, 4096).default(128),
    '--near-hashes N',
    'With --dedup near: hashes of a signature, a byte each; the error of an estimate falls with their root.',
    'Raise it for a sharper threshold; time and disk grow with it.',
  ),
  bands: inCorpus(
    count(1, 4096).nullable().default(null),
    '--near-bands N',
    'With --dedup near: bands of a signature; documents that share one are compared. Without it, 95 % of pairs at the threshold share one.',
    'Set it, with `--near-rows`, to repeat the settings of another tool.',
  ),
  rows: inCorpus(
    count(1, 4096).nullable().default(null),
    '--near-rows N',
    'With --dedup near: hashes of a band; without it, as many as the bands allow.',
    'Set it together with `--near-bands`.',
  ),
  keep: inCorpus(
    z.enum(['longest', 'first']).default('longest'),
    '--near-keep WHICH',
    'With --dedup near: the document that stays of those that resemble each other.',
    'Use `first` when the order of the corpus is an order of preference.',
  ),
})
const output = z.strictObject({
  directory: inOutput(
    local.nullable().default(null),
    '--out DIR',
    'Directory for the output: the RUN of all other commands.',
    'Give each run its own; the same directory and options resume a run.',
    common,
  ),
  upload: inOutput(
    text
      .regex(/^s3:\/\/[^/]/, { error: 'must be s3://bucket/prefix' })
      .nullable()
      .default(null),
    '--upload URL',
    'URL (s3://bucket/prefix) that finished files are sent to, instead of staying in the output directory.',
    'Set it when the output does not fit on the local disk or is read from the bucket.',
  ),
  format: inOutput(
    z
      .enum(['parquet', 'mds', 'megatron', 'datatrove', 'numpy', 'datasets', 'litdata', 'jsonl', 'memory'])
      .default('parquet'),
    '--format FORMAT',
    'Format of the output. `memory` is for the API: sequences are handed to the program.',
    'Choose what your trainer reads: mds for MosaicML Streaming, megatron for Megatron-LM, datatrove for nanotron, numpy for OLMo-core, datasets for TRL and Axolotl, litdata for LitGPT.',
    common,
  ),
  provenance: inOutput(
    z.enum(['full', 'ids', 'none']).default('full'),
    '--provenance LEVEL',
    "The record of a sequence's pieces in the output: everything, the ids of documents, or nothing.",
    'Use `none` when the output must not name documents; `show` then has less to say.',
  ),
  shardTokens: inOutput(
    count(1).nullable().default(null),
    '--shard-tokens N',
    'Tokens of an output shard, about; without it, 2²⁶, or for a larger corpus as many as keep its shards to some thousands.',
    'Lower it when more readers than shards should work at once.',
  ),
  compression: inOutput(
    z.enum(['auto', 'zstd', 'none']).default('auto'),
    '--compression KIND',
    'Compression of the files with sequences. auto is zstd for parquet and jsonl, none for mds; the other formats have none.',
    'Use `none` when the disk is fast and reading must cost no CPU time.',
  ),
  mdsIndices: inOutput(
    z.enum(['sequence', 'document']).default('sequence'),
    '--mds-indices SPAN',
    'Attention spans that MDS readers see: the sequence, or each document of it.',
    'Use `document` to train with attention inside documents only.',
  ),
  mdsShardBytes: inOutput(
    size(1, 2 ** 32 - 1)
      .nullable()
      .default(null),
    '--mds-shard-bytes SIZE',
    'Most bytes of an MDS file before compression, like 64MiB; without it, one file a shard.',
    'Set it when your loader downloads files one by one.',
  ),
  columns: inOutput(
    z
      .array(z.enum(['seq_lengths', 'position_ids', 'attention_mask', 'labels', 'label_mask', 'loss_weights']))
      .nullable()
      .default(null),
    '--columns NAME',
    'Columns of parquet and datasets in addition to the ids: seq_lengths, position_ids, attention_mask, labels, label_mask, loss_weights; of numpy, label_mask. Without it, seq_lengths for datasets.',
    'Name those that your trainer reads; docs/trainers.md says which.',
  ),
  maskFirst: inOutput(
    z.boolean().default(false),
    '--mask-first',
    'Leaves the first token of each document out of the loss, too: in labels, label_mask and loss_weights.',
    'Use it with attention inside documents, where nothing precedes that token.',
  ),
  lossWeightScale: inOutput(
    z.enum(['inverse', 'root']).default('root'),
    '--loss-weight-scale SCALE',
    'Of loss_weights: a weight is the inverse of how frequent a context of that length is, or its root.',
    'Use `inverse` to give every length of context the same weight in all.',
  ),
  lossWeightLimit: inOutput(
    z.number().min(1).max(1e6).default(8),
    '--loss-weight-limit TIMES',
    "Of loss_weights: the largest weight, in weights of a document's first token.",
    'Lower it when few long documents would decide the loss.',
  ),
})

const shape = {
  corpus: inCorpus(
    z
      .union([
        text.transform((path) => [path]),
        z.array(text).min(1, { error: 'must name at least one file, directory or glob' }),
      ])
      .meta({ form: 'list' })
      .nullable(),
    '--corpus PATH',
    'Files, directories, globs (quote them) or URLs (s3://, https://) of .jsonl, .json, .parquet, .arrow, .tar, .txt, .md, .idx (Megatron-LM), .ds (datatrove) and .npy (OLMo) files; JSON and archives also as .gz, .zst, .bz2, .xz and .lz4.',
    'Give it several times for files in several places.',
    common,
  ),
  corpusRoot: inCorpus(
    text.nullable().default(null),
    '--corpus-root DIR',
    'Directory or URL that the paths of files are relative to, in ids and digests; without it, the deepest one that holds all files.',
    'Set it when a corpus grows or moves and its paths must stay the same.',
  ),
  corpusPreset: inCorpus(
    z
      .enum(Object.keys(corpusPresets) as (keyof typeof corpusPresets)[])
      .nullable()
      .default(null),
    '--corpus-preset NAME',
    'Names the fields of text, id and source as a published corpus does; other options still change them.',
    'Set it for files of one of these corpora as they are distributed (docs/corpora.md has the fields).',
  ),
  corpusSkip: inCorpus(
    z
      .array(text)
      .prefault(['standard'])
      .transform((patterns) => patterns.flatMap((name) => (name === 'standard' ? skipped : [name])))
      .meta({ form: 'names' }),
    '--corpus-skip PATTERN',
    'Names of files and directories below a directory that are not read, with * and ?; `standard` is the list of docs/corpora.md.',
    'Give `none` to read everything, or several names, `standard` among them to add to the list.',
  ),
  textField: inCorpus(
    text.default('text'),
    '--text-field NAME',
    'Field or column of the text; a field of an object is named by its path, like doc.text.',
    'Set it when the text of a row is not called "text".',
    common,
  ),
  tokensField: inCorpus(
    text.nullable().default(null),
    '--tokens-field NAME',
    'Field or column of token ids, or its path: a list of whole numbers, which is taken in place of a text.',
    'Set it for a corpus that is tokenized already, with the tokenizer that made its ids.',
  ),
  textJoin: inCorpus(
    z
      .string()
      .prefault(String.raw`\n`)
      .transform((join) => join.replaceAll(String.raw`\n`, '\n').replaceAll(String.raw`\t`, '\t'))
      .meta({ form: 'escaped' }),
    '--text-join TEXT',
    String.raw`Joins the strings of a text that is a list of strings; \n is a line feed.`,
    'Set it when the strings are not lines or paragraphs.',
  ),
  idField: inCorpus(
    text.nullable().default(null),
    '--id-field NAME',
    'Field or column of the id, or its path, like meta.id; without it, the id is path:row.',
    'Set it when rows have ids: the order of rows and files then changes no draw.',
    common,
  ),
  queryField: inCorpus(
    text.nullable().default(null),
    '--query-field NAME',
    'Field or column of precomputed queries, or its path: a string or a list of strings.',
    'Set it with `--predictor precomputed`.',
  ),
  sourceField: inCorpus(
    text.nullable().default(null),
    '--source-field NAME',
    'Field or column that names the source of a document, or its path, like meta.source; else a directory named NAME=VALUE.',
    'Set it to see each source in the report, and for `--method long --long-mode upsample`.',
  ),
  sources: inCorpus(
    weights.default({}),
    '--sources NAME=WEIGHT',
    'Weights of the sources in the output, in any unit: of values of `sourceField`, or without it of paths as `corpus` names them. A source without one is left out.',
    'Give it once for each source: --sources wiki=3 --sources code=1. docs/planning.md says how an epoch meets them.',
  ),
  languageField: inCorpus(
    text.nullable().default(null),
    '--language-field NAME',
    "Field or column of the code of a document's language, like de or zh-Hant, or its path; else a directory named NAME=VALUE.",
    'Set it when rows name their language: short documents are then not mistaken for another language.',
  ),
  loneSurrogates: inCorpus(
    z.enum(['replace', 'reject']).default('replace'),
    '--lone-surrogates ACTION',
    'Half a surrogate pair in a JSON string (like \\ud83d) becomes U+FFFD and is counted, or makes the row a bad row.',
    'Use `reject` when such texts should not be trained on.',
  ),
  maxBadRows: inCorpus(
    badRows.nullable().default(null),
    '--max-bad-rows SHARE',
    'Most bad rows, like 0.1% or 100: these are skipped and listed in rejects.jsonl, more end the run.',
    'Set it for a large corpus, in which a few broken rows are normal and many are a mistake.',
  ),
  onBadRow: inCorpus(
    z.enum(['fail', 'skip']).default('fail'),
    '--on-bad-row ACTION',
    'A row that cannot be used ends the run, or is skipped and listed in rejects.jsonl. A query field that cannot be read ends the run, or counts as no query.',
    'Use `skip` for a corpus with a few broken rows.',
  ),
  onDuplicateId: inCorpus(
    z.enum(['fail', 'suffix']).default('fail'),
    '--on-duplicate-id ACTION',
    'An id that occurs again ends the run, or becomes id#2.',
    'Use `suffix` when ids are not unique.',
  ),
  maxDocumentBytes: inCorpus(
    size(1).prefault('64MiB'),
    '--max-document-bytes SIZE',
    'Largest document, like 64MiB. A larger one is a bad row.',
    'Raise it for books, together with `--memory`.',
  ),
  splitBytes: inCorpus(
    size(1).nullable().default(null),
    '--split-bytes SIZE',
    'Part of the corpus that one task reads, like 64MiB; without it, 64MiB, or a 4,096th of a larger corpus.',
    'Lower it when a small corpus should keep more cores busy.',
  ),
  tokenizer: inTokenizer(
    text,
    '--tokenizer FILE',
    'tokenizer.json, tekken.json or SentencePiece model of the model to train, or its directory.',
    'Its ids are those in the output. For a corpus of token ids the config.json of the model is enough.',
    common,
  ),
  queries: queries.prefault({}),
  keywords: keywords.prefault({}),
  vectors: vectors.prefault({}),
  neighbours: neighbours.prefault({}),
  topics: topics.prefault({}),
  method: z
    .union([
      z
        .enum(['quest', 'standard', 'knn', 'iclm', 'long', 'nextlong', 'topics', 'interleave'])
        .transform((name) => methods[name].parse({ name })),
      z.discriminatedUnion('name', [quest, standard, knn, iclm, long, nextlong, topicsMethod, interleave]),
    ])
    .prefault('quest'),
  length: inSequences(
    count(1, 2 ** 31 - 1),
    '--length N',
    'Tokens of a sequence.',
    'Set it to the context length to train with, like 32768 or 131072.',
    common,
  ),
  lengths: inSequences(
    lengthShares.default([]),
    '--lengths LENGTH=SHARE',
    'Several lengths that share the documents, each in its own output OUT/LENGTH; no document is in two. `--length` names one of them to make that one alone.',
    'Give it once for each phase of a curriculum: --lengths 8192=1 --lengths 32768=3.',
  ),
  tokens: inSequences(
    count(1).nullable().default(null),
    '--tokens N',
    'Tokens of the whole output, of all `lengths` together, over as many epochs as it takes; without it, one epoch.',
    'Set it when the training budget is given in tokens.',
    common,
  ),
  seed: inSequences(
    count(0).default(0),
    '--seed N',
    'Seed of every draw. Equal options and seed give equal bytes.',
    'Change it for another order of the same documents.',
    common,
  ),
  separator: inTokenizer(
    token('auto, none, token:TEXT or text:TEXT', /^(auto|none|token:.+|text:[\s\S]+)$/).default('auto'),
    '--separator TOKEN',
    "Token at the end of a document: none, token:TEXT, text:TEXT, or auto for the tokenizer's end token. In text:TEXT, \\n, \\r, \\t and \\\\ are escapes.",
    'Set it when `auto` finds no end token or the model was trained with another one.',
  ),
  bos: inTokenizer(
    z.enum(['none', 'sequence', 'document']).default('none'),
    '--bos PLACE',
    'Where begin tokens are put: nowhere, before each sequence, or before each document.',
    'Set what the model was trained with.',
  ),
  bosToken: inTokenizer(
    token('auto or token:TEXT', /^(auto|token:.+)$/).default('auto'),
    '--bos-token TOKEN',
    'The begin token: auto or token:TEXT.',
    'Set it when `auto` finds none or the wrong one.',
  ),
  padToken: inTokenizer(
    token('auto or token:TEXT', /^(auto|token:.+)$/).default('auto'),
    '--pad-token TOKEN',
    'The padding token: auto or token:TEXT.',
    'Set it when `auto` finds none or the wrong one.',
  ),
  specialText: inTokenizer(
    z.enum(['text', 'token', 'fail']).default('text'),
    '--special-text MODE',
    'A special token that is written in a document, like <|endoftext|>, is encoded as text or as the token, or makes a bad row. The summary counts them.',
    'Use `token` for the ids that datatrove, dolma and Megatron-LM give.',
  ),
  overflow: inSequences(
    z.enum(['split', 'truncate', 'whole']).default('split'),
    '--overflow RULE',
    'A document that crosses the end of a sequence continues in the next one, loses its rest, or moves as a whole.',
    'Use `whole` when documents must not be cut, unless they are longer than a sequence.',
  ),
  incomplete: inSequences(
    z.enum(['drop', 'pad']).default('drop'),
    '--incomplete RULE',
    'A last sequence that cannot be filled is dropped or padded.',
    'Use `pad` for a small corpus of which no token should be lost.',
  ),
  minTokens: inCorpus(
    count(0, 2 ** 32 - 1).default(1),
    '--min-document-tokens N',
    'Fewest tokens of a document; shorter ones are left out.',
    'Raise it when very short documents are noise.',
  ),
  maxTokens: inCorpus(
    count(1, 2 ** 32 - 1)
      .nullable()
      .default(null),
    '--max-document-tokens N',
    'Most tokens of a document; longer ones are left out.',
    'Set it to study short documents alone.',
  ),
  maxUses: inSequences(
    count(1, 2 ** 32 - 1)
      .nullable()
      .default(null),
    '--max-document-uses N',
    'Most uses of a document over all passes and epochs.',
    'Set it when `--tokens` asks for many epochs.',
  ),
  holdout: inSequences(
    z.number().min(0).max(1).default(0),
    '--holdout SHARE',
    'Share of the documents that are set aside and become a second output, OUT/holdout.',
    'Set it to 0.01, say, when you need validation sequences.',
    common,
  ),
  dedup: inCorpus(
    z.enum(['none', 'exact', 'near']).default('none'),
    '--dedup KIND',
    'Leaves out documents whose text equals, or with near resembles, that of another one. OUT/duplicates.jsonl.zst lists them.',
    'Use `near` when the corpus was not deduplicated, `exact` when only copies are to go.',
  ),
  near: near.prefault({}),
  output: output.prefault({}),
  work: inResources(
    local.nullable().default(null),
    '--work DIR',
    'Work directory for results of stages; without it, OUT/.work.',
    'Share one between runs over one corpus: tokens, queries, keywords and vectors are then computed once.',
    common,
  ),
  threads,
  memory: inResources(
    size(16 * MiB).prefault('2GiB'),
    '--memory SIZE',
    'Most heap of tokenizing, predicting and packing, like 2GiB or 512MiB. 2G and 2Gi are 2GiB; 2GB is 2·10⁹.',
    'Raise it for large documents; results do not depend on it.',
    common,
  ),
  packing: inResources(
    z.enum(['auto', 'gather', 'scatter']).default('auto'),
    '--packing WAY',
    'How tokens reach the output: read at random places, or first written in the order of the plan. The bytes are the same.',
    'Use `scatter` on disks that are slow at random reads.',
  ),
  diskCheck: inResources(
    z.enum(['refuse', 'warn', 'off']).default('refuse'),
    '--disk-check ACTION',
    'Refuses a run that does not fit on the disk, warns of it, or does not check.',
    'Use `warn` when you free space while the run works.',
  ),
  clean: inResources(
    z.enum(['none', 'sealed']).default('none'),
    '--clean-after-seal',
    "Deletes this run's intermediate results from the work directory once the output is sealed.",
    'Use it when the disk is short and no other run needs the tokens and queries.',
    { on: 'sealed', off: 'none' },
  ),
}

/** The schema of a run's options. */
export const optionsSchema = z.strictObject(shape)

/** The schema of the engine that runs the tasks of a run. It decides nothing about results, and is not stored with the run. */
export const engineSchema = z.strictObject({
  name: inEngine(
    z.literal('ray'),
    '--engine NAME',
    'Who runs the tasks: ray, a Ray cluster that sees the corpus and the directories under the same paths; without it, this process.',
    'Set it when one machine is too slow (docs/cluster.md).',
    common,
  ),
  url: inEngine(
    text.nullable().default(null),
    '--ray URL',
    "Address of the cluster's dashboard; without it, RAY_API_SERVER_ADDRESS, RAY_ADDRESS, then http://127.0.0.1:8265.",
    'Set it when the cluster is elsewhere.',
  ),
  restarts: inEngine(
    count(0, 1000).default(3),
    '--restarts N',
    'How often the job is submitted again after its driver or the head was lost.',
    'Raise it on machines that are often taken away.',
  ),
  python: inEngine(
    text.default('python'),
    '--ray-python PROGRAM',
    'Python of the environment in which Ray and longweave are installed, as the head finds it.',
    'Set it to a path when Ray was started without activating its environment.',
  ),
  scratch: inEngine(
    text.nullable().default(null),
    '--ray-scratch DIR',
    'Directory on a disk of each node for temporary files; without it they are in the work directory.',
    'Set it when nodes have fast disks of their own.',
  ),
  insecure: inEngine(
    z.boolean().default(false),
    '--ray-insecure',
    'Allows http:// to another machine: programs and the token are then sent unencrypted.',
    'Set it only inside a network that you trust; a tunnel needs no exception.',
  ),
})

/** The engine of a run. */
export type EngineOptions = z.input<typeof engineSchema>
/** The engine with every choice made. */
export type ResolvedEngine = z.output<typeof engineSchema>

/** Options as users give them: everything but `corpus`, `tokenizer`, `length` and, unless in memory, `output.directory` has a default. */
export type Options = z.input<typeof optionsSchema>
/** Options with every choice made. */
export type ResolvedOptions = z.output<typeof optionsSchema>

/** The defaults that a preset changes. `paper`: those of the Quest paper. */
export const presets = {
  paper: {
    keywords: { representative: 'random', minScore: 3, phrases: 'all' },
    method: { name: 'quest', pool: 'keyworded', splitRatio: 0.2, fill: 'next' },
  },
} as const satisfies Record<string, { keywords: Partial<z.input<typeof keywords>>; method: z.input<typeof quest> }>

/** The name of a preset. */
export type Preset = keyof typeof presets

type Json = Record<string, unknown>

/** A schema as JSON Schema with every default, also of values that are transformed, which zod leaves out. */
function toJson(schema: z.ZodType, adapt: (json: Json) => void): Json {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      const { def } = zodSchema._zod
      if (def.type === 'default') jsonSchema.default ??= (def as z.core.$ZodDefaultDef).defaultValue as never
      adapt(jsonSchema as Json)
    },
  }) as Json
}

/** A schema as JSON Schema that keeps `OptionMeta` under the key `option`, for help and docs/options.md. */
export function described(schema: z.ZodType = optionsSchema): Json {
  return toJson(schema, () => {})
}

/**
 * The schema as JSON Schema, for editors and config files.
 *
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs'
 * import { optionsJsonSchema } from 'longweave'
 *
 * writeFileSync('longweave.schema.json', JSON.stringify(optionsJsonSchema()))
 * ```
 */
export function optionsJsonSchema(): Json {
  return toJson(optionsSchema, (json) => {
    const { option } = json as { option?: OptionMeta }
    delete json['option']
    delete json['form']
    if (option !== undefined) json['description'] = `${String(json['description'])} ${option.when}`
  })
}
