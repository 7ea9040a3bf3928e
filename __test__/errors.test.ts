// Every error by its code: raised as users raise it, and its message says what, where and what to do.
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { xxhash128 } from 'hash-wasm'
import { describe, expect, test } from 'vitest'
import {
  Embedder,
  LongweaveError,
  QueryPredictor,
  Rake,
  errorCodes,
  prepare,
  readDocuments,
  resolveOptions,
  verify,
  weave,
  show,
} from '../ts/index.ts'
import type { ErrorCode, MemoryRunOptions, RunOptions } from '../ts/index.ts'
import { changedInside, changedModel, models } from './models.ts'
import {
  all,
  argv,
  claiming,
  cli,
  failure,
  filesOf,
  finished,
  folder,
  gzip,
  jsonl,
  node,
  parquet,
  parsed,
  plain,
  randomCorpus,
  readColumns,
  root,
  runTasks,
  tasks,
  topKeywords,
  wordTokenizer,
  writeJsonl,
  writeNpy,
  zstd,
} from './support.ts'

const directory = folder()
const tokenizer = wordTokenizer(directory)
const documents = randomCorpus(2, 30, 20)
const corpus = writeJsonl(join(directory, 'corpus.jsonl'), documents)
let runs = 0
/** A name that no other test uses. */
const fresh = (suffix = '') => join(directory, `${(runs += 1)}${suffix}`)
const options = (more: Partial<RunOptions> = {}): RunOptions => ({
  ...plain,
  corpus,
  tokenizer,
  length: 16,
  output: { directory: fresh() },
  ...more,
})
const run = (more: Partial<RunOptions> = {}) => finished(options(more))
/** A file with these bytes. */
function file(name: string, bytes: Buffer | string): string {
  const path = join(directory, name)
  writeFileSync(path, bytes)
  return path
}
/** The options of a run that was prepared. */
async function prepared(more: Partial<RunOptions> = {}): Promise<{ options: RunOptions; out: string }> {
  const made = options(more)
  await prepare(made)
  return { options: made, out: String(made.output?.directory) }
}
/** The directory of a finished run. */
async function outputOf(more: Partial<RunOptions> = {}): Promise<string> {
  const given = options(more)
  await finished(given)
  return String(given.output?.directory)
}
/** Arguments of a run of the method standard. */
const standardRun = (out: string) =>
  argv`run --corpus ${corpus} --tokenizer ${tokenizer} --method standard --length 16 --out ${out}`
/** A run in a process of its own, in which the next such system call fails; its error. */
async function failing(failpoint: string): Promise<never> {
  const out = fresh()
  const { status, err } = await cli(standardRun(out), { env: { LONGWEAVE_FAILPOINT: failpoint } })
  expect(status).toBe(1)
  const [, message, code] = /^longweave: ([\s\S]*) \[([A-Z_]+)\]\n$/.exec(err) ?? []
  throw new LongweaveError(code as ErrorCode, message ?? err, { file: out })
}
const half = (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length / 2))
const columns = { id: documents.map(({ id }) => id), text: documents.map(({ text }) => text) }
const noQueries = { idField: 'id', queryField: null, queries: {} } as const

const t5 = join(models, 't5-v1_0/longweave')
const model = (path: string, more: object = {}) =>
  QueryPredictor.open({ predictor: 'onnx', model: path, device: 'cpu', maxQueryTokens: 4, ...more })
const embedder = (path: string) => Embedder.open({ model: path, device: 'cpu' })
/** The library that tests use: that of the package. */
const packagedRuntime = () =>
  join(root, 'node_modules/onnxruntime-node/bin/napi-v6', process.platform, process.arch, 'libonnxruntime.so.1')
const addon = () =>
  join(root, 'binding', readdirSync(join(root, 'binding')).find((name) => name.endsWith('.node')) ?? '')
function cutShort(path: string): void {
  writeFileSync(path, half(readFileSync(path)))
}
/** Bits of NaN in a file of floats. */
function noNumbers(path: string): void {
  writeFileSync(path, readFileSync(path).fill(0xff))
}
/** Runs knn over the vectors of a file. */
const neighbours = (path: string) => run({ method: 'knn', vectors: { source: 'file', file: path } })
/** Loads a model in a process of its own, which has loaded no library yet; its error. */
async function elsewhere(env: NodeJS.ProcessEnv): Promise<never> {
  const { err } = await cli(argv`predict --corpus ${corpus} --model ${t5}`, { env })
  const [, message, code] = /^longweave: ([\s\S]*) \[([A-Z_]+)\]\n$/.exec(err) ?? []
  throw new LongweaveError(code as ErrorCode, message ?? err, {})
}

/** A call that raises an error, parts of its message, and details that programs get. */
type Case = [raise: () => unknown, says: (string | RegExp)[], details?: object]

/** By code, then by what is wrong. */
const cases: Partial<Record<ErrorCode, Record<string, Case>>> = {
  OPTIONS_INVALID: {
    'an option is out of range': [() => run({ length: 0 }), ['`length`', '0'], { option: 'length' }],
    'an option does not exist': [
      () => run({ lenght: 3 } as object),
      ['`lenght`', 'did you mean `length`'],
      { option: 'lenght' },
    ],
    'an option of a section does not exist': [
      () => run({ method: { name: 'quest', oversampel: 3 } as never }),
      ['`method`', '`oversampel`', 'did you mean `oversample`'],
    ],
    'a sequence has no whole number': [async () => show(await outputOf(), 1.5), ['`index`', '1.5']],
    'reading is to begin before the first': [
      async () => readColumns(await outputOf(), { start: -1 }),
      ['`start`', '-1'],
    ],
    'a size has a unit that does not exist': [
      () => run({ memory: '2X' }),
      ['`memory`: must be a number of bytes, like 1073741824, "1GiB" or "1G", but is "2X"'],
      { option: 'memory' },
    ],
    'a size is too small': [() => run({ memory: '1M' }), ['`memory`: must be at least 16777216 bytes, but is 1048576']],
    'an escape of the separator does not exist': [
      () => run({ separator: String.raw`text:\q` }),
      ['`separator`', '`\\n`'],
    ],
    'two options are wrong': [
      () => resolveOptions({ corpus: 'a', tokenizer: 't', length: 1.5, seed: -1, output: { directory: 'o' } }),
      ['`length`', '`seed`'],
    ],
    'a format cannot be compressed': [
      () => run({ output: { directory: fresh(), format: 'megatron', compression: 'zstd' } }),
      ['`output.compression: zstd`', '`output.format: megatron`', '`none`'],
      { option: 'output.compression' },
    ],
    'files of MDS are asked for in another format': [
      () => run({ output: { directory: fresh(), format: 'datatrove', mdsShardBytes: '1MiB' } }),
      ['`output.mdsShardBytes`', '`output.shardTokens`'],
      { option: 'output.mdsShardBytes' },
    ],
    'a column is asked for that no reader of the format takes': [
      () => run({ output: { directory: fresh(), format: 'numpy', columns: ['labels', 'label_mask'] } }),
      ['`output.columns: labels`', '`output.format: numpy`', 'label_mask'],
      { option: 'output.columns' },
    ],
    'a format has no such columns': [
      () => run({ output: { directory: fresh(), format: 'mds', columns: ['seq_lengths'] } }),
      ['`output.columns: seq_lengths`', '`output.format: mds`', 'no such columns'],
      { option: 'output.columns' },
    ],
    'no output directory is given': [
      () => run({ output: {} }),
      ['`output.directory`', '"memory"'],
      { option: 'output.directory' },
    ],
    'precomputed queries come from nowhere': [
      () => run({ queryField: null }),
      ['`queryField`', '`queries.file`'],
      { option: 'queries.predictor' },
    ],
    'a file stands outside the corpus root': [
      () => run({ corpusRoot: join(root, 'ts') }),
      ['corpusRoot', 'corpus.jsonl'],
      { option: 'corpusRoot' },
    ],
    'no file of vectors is named': [
      () => run({ method: 'knn', vectors: { source: 'file' } }),
      ['`vectors.file`'],
      { option: 'vectors.file' },
    ],
    'no encoder is named': [
      () => run({ method: 'knn', vectors: { source: 'onnx' } }),
      ['`vectors.model`'],
      { option: 'vectors.model' },
    ],
    'several queries are asked of greedy decoding': [
      () => model(t5, { decoding: 'greedy', queriesPerSegment: 2 }),
      ['`queriesPerSegment`', '`decoding: sample`'],
      { option: 'queries.queriesPerSegment' },
    ],
    'the device is none': [() => model(t5, { device: 'gpu' }), ['`device`', 'cuda:N', 'gpu'], { option: 'device' }],
    'the predictor is a model and none is named': [
      () => run({ queries: { predictor: 'onnx' } }),
      ['`queries.model`'],
      { option: 'queries.model' },
    ],
    'an option of a model does not exist': [() => model(t5, { topp: 3 } as object), ['`topp`', '`topP`']],
    'the prefix leaves no room': [() => model(t5, { prefix: 'word '.repeat(600) }), ['prefix', 'no room']],
    'URLs and paths are mixed': [
      () => run({ corpus: ['s3://bucket/a.jsonl', corpus] }),
      ['`corpus`', 'corpus.jsonl', 'copy'],
      { option: 'corpus' },
    ],
    'there is nothing to upload': [
      () => run({ output: { format: 'memory', upload: 's3://bucket/out' } }),
      ['`output.upload`', 'memory'],
      { option: 'output.upload' },
    ],
  },
  INPUT_NOT_FOUND: {
    'the corpus does not exist': [() => run({ corpus: join(directory, 'none.jsonl') }), ['none.jsonl', '.parquet']],
    'a glob matches nothing': [() => run({ corpus: [corpus, join(directory, 'no*.jsonl')] }), ['no*.jsonl']],
    'the tokenizer does not exist': [
      () => run({ tokenizer: join(directory, 'none.json') }),
      ['`tokenizer`: there is no file', 'none.json', 'give the path of a tokenizer.json'],
      { option: 'tokenizer' },
    ],
    'the tokenizer is named as on a hub': [
      () => run({ tokenizer: 'owner/model-8B' }),
      ['names of a hub are not looked up: download the model', 'tokenizer.json'],
    ],
    'the directory of the tokenizer holds none': [() => run({ tokenizer: join(root, 'ts') }), ['ts/tokenizer.json']],
    'the stop list does not exist': [() => Rake.open({ stopWordsFile: 'klingon' }), ['klingon', 'smart', 'fox']],
    'the stop list of a run does not exist': [
      () => run({ keywords: { stopWords: 'german' } }),
      ['`keywords.stopWords`', 'german', 'one of smart, fox, af, ar', 'one word a line'],
      { option: 'keywords.stopWords' },
    ],
  },
  INPUT_UNSUPPORTED: {
    'a file is of another kind': [() => run({ corpus: file('table.csv', 'a,b\n') }), ['table.csv', '.jsonl']],
    'a packed file is packed once more': [
      () => run({ corpus: file('twice.jsonl', gzip(gzip(jsonl(documents)))), onBadRow: 'skip' }),
      ['twice.jsonl unpacks to another gzip file', 'unpack it once'],
      { file: join(directory, 'twice.jsonl') },
    ],
    'a file is UTF-16': [
      () => run({ corpus: file('wide.jsonl', Buffer.from(`\ufeff${jsonl(documents)}`, 'utf16le')) }),
      ['wide.jsonl is UTF-16, not UTF-8', 'iconv -f UTF-16'],
    ],
    'the corpus is on a hub': [
      () => run({ corpus: 'hf://datasets/owner/name/data.parquet' }),
      ['names of a hub are not looked up', 'download the files'],
    ],
    'the corpus is a URL of a file': [() => run({ corpus: 'file:///a.jsonl' }), ['give the path alone, /a.jsonl']],
    'the corpus is in another store': [() => run({ corpus: 'gs://b/x.jsonl' }), ['gs://', 's3://']],
    'the corpus is standard input': [() => run({ corpus: '-' }), ['standard input', 'through the API']],
  },
  INPUT_CHANGED: {
    'a corpus file changed after the run was prepared': [
      async () => {
        const path = writeJsonl(fresh('.jsonl'), documents)
        const { out } = await prepared({ corpus: path })
        appendFileSync(path, '{"id":"new","text":"w1"}\n')
        await runTasks(out, 'scan', 'all')
      },
      ['.jsonl', 'changed', 'another output directory'],
      { file: expect.stringContaining('.jsonl') },
    ],
    'a corpus file changed after its sequences were written': [
      async () => {
        const path = writeJsonl(fresh('.jsonl'), documents)
        const again = options({ corpus: path })
        await finished(again)
        appendFileSync(path, '{"id":"new","text":"w1"}\n')
        await finished(again)
      },
      ['.jsonl', 'changed', 'another output directory'],
    ],
    'the tokenizer changed': [
      async () => {
        const path = fresh('.json')
        copyFileSync(tokenizer, path)
        const { out } = await prepared({ tokenizer: path })
        appendFileSync(path, ' ')
        await runTasks(out, 'scan', 'all')
      },
      ['.json', 'changed'],
    ],
  },
  INPUT_TRUNCATED: {
    'a .gz ends early': [
      () => run({ corpus: file('short.jsonl.gz', half(gzip(jsonl(documents)))) }),
      ['short.jsonl.gz', 'truncated', 'again'],
      { file: join(directory, 'short.jsonl.gz') },
    ],
    'a .zst ends early': [
      () => run({ corpus: file('short.jsonl.zst', half(zstd(jsonl(documents)))) }),
      ['short.jsonl.zst', 'truncated', 'again'],
    ],
    'a .zst is none': [
      () => run({ corpus: file('other.jsonl.zst', jsonl(documents)) }),
      ['other.jsonl.zst', 'damaged'],
    ],
    'a Parquet file ends early': [
      () => run({ corpus: file('short.parquet', half(parquet(columns))) }),
      ['short.parquet', 'truncated', 'again'],
    ],
  },
  CORPUS_EMPTY: {
    'no row has text': [
      () => run({ corpus: file('empty.jsonl', '{"id":"a","text":" "}\n{"id":"b","text":""}\n') }),
      ['2 rows, 2 empty', '`textField`'],
    ],
    'an iterable gives nothing': [() => run({ corpus: new Set<never>() }), ['no document']],
  },
  BAD_ROW: {
    'a row is not JSON': [
      () => run({ corpus: file('bad.jsonl', '{"id":"a","text":"w1"}\n\n{"id":"b","text":\n') }),
      ['bad.jsonl:3: the line ends before its JSON object does; fix the row, or set `onBadRow: skip`'],
      { file: 'bad.jsonl', line: 3, reason: 'the line ends before its JSON object does' },
    ],
    'a row is no object': [
      () => run({ corpus: file('list.jsonl', '[1]\n') }),
      ['list.jsonl:1: the row is an array, not an object', "jq -c '.[]'"],
      { line: 1 },
    ],
    'the text is missing': [
      () => run({ corpus: file('missing.jsonl', '{"id":"a","body":"w1"}\n') }),
      ['missing.jsonl:1: there is no field "text" (`textField`), only "id", "body"; fix the row'],
    ],
    'the id is missing': [
      () => run({ corpus: file('nameless.jsonl', '{"text":"w1"}\n') }),
      ['nameless.jsonl:1: there is no field "id" (`idField`), only "text"'],
    ],
    'the text is a number': [
      () => run({ corpus: file('number.jsonl', '{"id":"a","text":7}\n') }),
      ['number.jsonl:1: "text" is a number, not a string; fix the row, or set `onBadRow: skip`'],
    ],
    'an id is a number of more than 64 bits': [
      () => run({ corpus: file('huge.jsonl', '{"id":18446744073709551616,"text":"w1"}\n') }),
      ['huge.jsonl:1: "id" is a number of more than 64 bits, not a string or an integer'],
    ],
    'a row of an array in a .json file has no text': [
      () => run({ corpus: file('array.json', `[\n${JSON.stringify(documents[0])},\n{"id":"b"}\n]\n`) }),
      ['array.json: element 2 (from 1): there is no field "text" (`textField`), only "id"'],
      { file: 'array.json', element: 2 },
    ],
    'a .json file is one object over many lines': [
      () => run({ corpus: file('pretty.json', JSON.stringify(documents[0], null, 2)) }),
      ['pretty.json:1: the object does not end on its line', 'jq -c . FILE > NEW_FILE.jsonl'],
    ],
    'a row in the middle of a divided file has no text': [
      () => {
        const lines = documents.map((row) => `\n${JSON.stringify(row)}\n`)
        lines[20] = '{"id":"a","text":7}\n'
        return run({ corpus: file('divided.jsonl', lines.join('')), splitBytes: 200 })
      },
      ['divided.jsonl:41: "text" is a number'],
      { file: 'divided.jsonl', line: 41 },
    ],
    'a row in the middle of a large .gz file has no text': [
      () => {
        const lines = documents.map((row) => `\n${JSON.stringify(row)}\n`)
        lines[20] = '{"id":"a","text":7}\n'
        return run({ corpus: file('divided.jsonl.gz', gzip(Buffer.from(lines.join('')))), splitBytes: 200 })
      },
      ['divided.jsonl.gz:41: "text" is a number'],
      { file: 'divided.jsonl.gz', line: 41 },
    ],
    'a row of a Parquet file has no id': [
      () => {
        const ids = Array.from({ length: 20 }, (_, i) => `d${i}`)
        const text = ids.map(() => 'w1')
        const id = ids.map((value) => (value === 'd17' ? null : value))
        return run({ corpus: file('null.parquet', parquet({ id, text })), idField: 'id' })
      },
      ['null.parquet: row group 1, row 1 (row 17 of the file; all from 0): the column "id" (`idField`) is null'],
      { file: 'null.parquet', rowGroup: 1, row: 1, fileRow: 17 },
    ],
    'a document of a corpus that is read has no text': [
      () => all(readDocuments({ corpus: file('read.jsonl', '\n{"text":"w1"}\n\n{"text":7}\n') })),
      [/^read.jsonl:4: "text" is a number, not a string; fix the row$/],
      { file: 'read.jsonl', line: 4, reason: '"text" is a number, not a string' },
    ],
    'a pushed document has no text': [
      () => run({ corpus: [{ text: 'w1' }, { id: 'b' } as never] }),
      ['document 1 of the pushed corpus (counted from 0): there is no field "text", only "id"; fix the row'],
      { document: 1 },
    ],
    'the id of a pushed document has a fraction': [
      () => run({ corpus: [{ id: 7.5, text: 'w1' }] }),
      ['document 0 of the pushed corpus (counted from 0): "id" is a number with a fraction'],
      { document: 0, reason: '"id" is a number with a fraction, not a string or an integer' },
    ],
    'the id of a pushed document is empty': [
      () => run({ corpus: [{ text: 'w1' }, { id: '', text: 'w2' }] }),
      ['document 1 of the pushed corpus (counted from 0): the field "id" is empty; fix the row'],
      { document: 1 },
    ],
  },
  BAD_UTF8: {
    'a line is not UTF-8': [
      () =>
        run({
          corpus: file('latin.jsonl', Buffer.from('{"id":"a","text":"w1"}\n{"id":"b","text":"caf\xe9"}\n', 'latin1')),
        }),
      ['latin.jsonl:2: invalid UTF-8 at byte', 'convert the file to UTF-8, or set `onBadRow: skip`'],
      { line: 2 },
    ],
    'a text file is not UTF-8': [
      () => run({ ...noQueries, corpus: file('latin.txt', Buffer.from('caf\xe9', 'latin1')) }),
      ['latin.txt: invalid UTF-8 at byte 3 of the file, in line 1'],
    ],
  },
  DOCUMENT_TOO_LARGE: {
    'a document is larger than allowed': [
      () => run({ corpus: file('large.jsonl', jsonl([{ id: 'a', text: 'w1 '.repeat(50) }])), maxDocumentBytes: 100 }),
      ['large.jsonl:1: the text has 150 bytes, more than `maxDocumentBytes` (100)', 'raise `maxDocumentBytes`'],
    ],
  },
  MISSING_COLUMN: {
    'a Parquet file has no such column': [
      () => run({ corpus: file('columns.parquet', parquet(columns)), textField: 'body' }),
      ['columns.parquet', '"body"', '`textField`', 'id, text'],
      { column: 'body', columns: ['id', 'text'] },
    ],
  },
  COLUMN_TYPE: {
    'a column of a Parquet file has a type that fits no text': [
      () => run({ corpus: file('types.parquet', parquet(columns, 16, ['text'])) }),
      ['types.parquet holds Decimal128(9, 0), not strings or lists of strings', '"text" (`textField`)'],
      { column: 'text', found: 'Decimal128(9, 0)' },
    ],
  },
  DUPLICATE_ID: {
    'two documents have one id': [
      () => run({ corpus: writeJsonl(fresh('.jsonl'), [...documents, documents[3] as object]) }),
      [/2 documents have the id "doc-3", the first two at \d+\.jsonl:4 and \d+\.jsonl:31;.*`onDuplicateId: suffix`/],
      { id: 'doc-3', locations: [{ line: 4 }, { line: 31 }] },
    ],
    'two pushed documents have one id': [
      () =>
        run({
          corpus: [
            { id: 'a', text: 'w1' },
            { id: 'a', text: 'w2' },
          ],
        }),
      ['document 0 of the pushed corpus (counted from 0) and document 1 of the pushed corpus'],
      { locations: [{ document: 0 }, { document: 1 }] },
    ],
  },
  TOO_MANY_ROWS: {
    'splits hold more rows than a number of a document has values': [
      async () => {
        const { out } = await prepared()
        await runTasks(out, 'scan', 'all')
        const record = { counts: { lines: 0, rows: 2 ** 32 }, files: [] }
        writeFileSync(
          scanRecord(out),
          JSON.stringify({ ...record, digest: (await xxhash128(JSON.stringify(record))).slice(0, 16) }),
        )
        await runTasks(out, 'ingest', 'all')
      },
      ['4294967296 rows', 'divide'],
    ],
  },
  TOKENIZER_INVALID: {
    'the tokenizer file is something else': [
      () => run({ tokenizer: file('config.json', '{"model_max_length":4096}') }),
      ['config.json', 'tokenizer.json', 'vocab'],
    ],
    'the tokenizer file is not JSON': [() => run({ tokenizer: file('text.json', 'hello') }), ['text.json', 'JSON']],
    'the tokenizer is of a kind that nobody knows': [
      () =>
        run({ tokenizer: file('kind.json', readFileSync(tokenizer, 'utf8').replace('"WordLevel"', '"Telepathy"')) }),
      ['kind.json'],
    ],
  },
  TOKEN_NOT_FOUND: {
    'the separator is no token': [
      () => run({ separator: 'token:<|nope|>' }),
      ['`separator`', '<|nope|>', 'token:<|endoftext|>'],
      { option: 'separator', token: '<|nope|>' },
    ],
    'the tokenizer has no end of text': [
      () => run({ tokenizer: file('bare.json', readFileSync(tokenizer, 'utf8').replaceAll('<|endoftext|>', 'w100')) }),
      ['`separator`', 'token:TEXT', 'token:<pad>'],
    ],
    'padding is needed and there is none': [
      () =>
        run({
          incomplete: 'pad',
          tokenizer: file('padless.json', readFileSync(tokenizer, 'utf8').replaceAll('<pad>', 'w101')),
        }),
      ['`padToken`'],
    ],
  },
  QUERIES_INVALID: {
    'a row of the queries has no id': [
      () =>
        run({
          queryField: null,
          queries: {
            predictor: 'precomputed',
            file: file('q1.jsonl', '{"id":"doc-0","query":"red car"}\n{"query":"x"}\n'),
          },
        }),
      ['q1.jsonl:2: there is no field "id", only "query"; each row needs `id` and `query` or `queries`'],
      { line: 2 },
    ],
    'an id of the queries occurs twice': [
      () =>
        run({
          queryField: null,
          queries: {
            predictor: 'precomputed',
            file: file('q4.jsonl', '{"id":"doc-0","query":"red car"}\n\n{"id":"doc-0","query":"x"}\n'),
          },
        }),
      ['q4.jsonl:3: the id "doc-0" occurs a second time'],
      { line: 3 },
    ],
    'queries of the corpus are numbers': [
      () => run({ corpus: file('q3.jsonl', '{"id":"a","text":"w1","query":"x"}\n{"id":"b","text":"w2","query":7}\n') }),
      ['q3.jsonl:2: "query" is a number, not a string or a list of strings', 'onBadRow: skip'],
      { line: 2 },
    ],
    'the file holds no query': [
      () =>
        run({ queryField: null, queries: { predictor: 'precomputed', file: file('q2.jsonl', '{"id":"doc-0"}\n') } }),
      ['q2.jsonl holds no query in 1 rows', '`query`'],
    ],
  },
  VECTORS_INVALID: {
    'a file of vectors has fewer rows than the corpus': [
      () => neighbours(writeNpy(fresh('.npy'), [new Float32Array([1, 2])])),
      ['.npy', '1 vectors', `${documents.length} rows`],
      { found: 1, expected: documents.length },
    ],
    'a file of vectors is cut short': [
      () => {
        const path = writeNpy(
          fresh('.npy'),
          documents.map(() => new Float32Array([1, 2])),
        )
        cutShort(path)
        return neighbours(path)
      },
      ['.npy', 'bytes'],
    ],
    'a file of vectors is none': [() => neighbours(file('vectors.npy', 'id,vector\n')), ['vectors.npy']],
    'a Parquet file lacks the column': [
      () => neighbours(file('vectors.parquet', parquet({ id: ['doc-0'], vektor: ['x'] }))),
      ['vectors.parquet', '"vector"', 'vektor'],
      { columns: ['id', 'vektor'] },
    ],
    'a Parquet column holds no numbers': [
      () => neighbours(file('texts.parquet', parquet({ id: ['doc-0'], vector: ['x'] }))),
      ['texts.parquet', 'lists of numbers'],
    ],
  },
  ONNXRUNTIME_MISSING: {
    'the library that was named is not there': [
      () => model(t5, { onnxRuntime: 'none.so' }),
      ['`onnxRuntime`', 'none.so', 'npm install onnxruntime-node', 'ONNXRUNTIME_LIB'],
      { file: 'none.so' },
    ],
    'the variable names a file that is no library': [
      () => elsewhere({ ONNXRUNTIME_LIB: join(root, 'package.json') }),
      ['package.json', 'does not load', 'npm install onnxruntime-node'],
    ],
    'the variable names a library that is another one': [
      () => elsewhere({ ONNXRUNTIME_LIB: addon() }),
      ['.node', 'OrtGetApiBase'],
    ],
  },
  ONNXRUNTIME_INCOMPATIBLE: {
    'this process has loaded another one': [
      async () => {
        await model(t5)
        const copy = join(directory, 'another.so')
        copyFileSync(packagedRuntime(), copy)
        await model(t5, { onnxRuntime: copy })
      },
      ['another.so', 'has loaded', 'another process'],
    ],
  },
  DEVICE_UNAVAILABLE: {
    'there is no CUDA': [
      () => model(t5, { device: 'cuda:3' }),
      ['cuda:3', 'onnxruntime-gpu', '`device: cpu`'],
      { device: 'cuda:3' },
    ],
  },
  MODEL_MISSING: {
    'there is no such directory': [
      () => model(join(directory, 'none')),
      ['no model directory', 'none', 'tools/export'],
    ],
    'a file of it is missing': [
      () => model(changedModel('t5-v1_0/longweave', fresh(), (d) => rmSync(join(d, 'weights.bin')))),
      ['weights.bin', 'decoder.onnx, encoder.onnx'],
    ],
    'it is no model': [() => model(directory), ['encoder_model.onnx', 'it holds']],
    'the tokenizer is missing': [
      () => embedder(changedModel('bert', fresh(), (d) => rmSync(join(d, 'tokenizer.json')))),
      ['tokenizer.json'],
    ],
  },
  MODEL_INVALID: {
    'the weights were cut short': [
      () => model(changedModel('t5-v1_0/longweave', fresh(), (d) => cutShort(join(d, 'weights.bin')))),
      ['weights.bin', 'bytes', 'copy it again'],
    ],
    'the weights were cut short, and their length written down': [
      () => model(changedInside('t5-v1_0/longweave', fresh(), (d) => cutShort(join(d, 'weights.bin')))),
      ['coder.onnx', 'not a model that ONNX Runtime can load'],
    ],
    "a graph of optimum's was cut short": [
      () => model(changedModel('t5-v1_0/optimum', fresh(), (d) => cutShort(join(d, 'encoder_model.onnx')))),
      ['encoder_model.onnx', 'copy it again'],
    ],
    'its description is damaged': [
      () => model(changedModel('t5-v1_0/longweave', fresh(), (d) => cutShort(join(d, 'longweave-model.json')))),
      ['longweave-model.json', 'is not JSON'],
    ],
    'its description lacks something': [
      () =>
        model(
          changedModel('t5-v1_0/longweave', fresh(), (d) =>
            writeFileSync(join(d, 'longweave-model.json'), '{"format":"longweave-seq2seq"}'),
          ),
        ),
      ['longweave-model.json', 'version'],
    ],
    'its tokenizer is damaged': [
      () => model(changedInside('t5-v1_0/longweave', fresh(), (d) => cutShort(join(d, 'tokenizer.json')))),
      ['tokenizer.json', 'not a supported tokenizer'],
    ],
  },
  MODEL_MISMATCH: {
    'the encoder is that of another kind of model': [
      () =>
        model(
          changedInside('t5-v1_0/longweave', fresh(), (d) =>
            copyFileSync(join(models, 'bert/model.onnx'), join(d, 'encoder.onnx')),
          ),
        ),
      ['encoder.onnx', '`attention_mask`', '`lengths`', 'expected'],
    ],
    'encoder and decoder were exchanged': [
      () =>
        model(
          changedModel('t5-v1_0/optimum', fresh(), (d) =>
            copyFileSync(join(d, 'decoder_model.onnx'), join(d, 'encoder_model.onnx')),
          ),
        ),
      ['encoder_model.onnx', '`encoder_hidden_states`'],
    ],
    'an embedder is no encoder': [
      () =>
        embedder(
          changedModel('bert', fresh(), (d) =>
            copyFileSync(join(models, 't5-v1_0/optimum/decoder_model.onnx'), join(d, 'model.onnx')),
          ),
        ),
      ['model.onnx', '`encoder_hidden_states`'],
    ],
  },
  MODEL_TOKENIZER: {
    'the tokenizer has more tokens than the model': [
      () =>
        model(
          changedInside('t5-v1_0/longweave', fresh(), (d) =>
            copyFileSync(join(models, 'bert/tokenizer.json'), join(d, 'tokenizer.json')),
          ),
        ),
      ['up to id 399', 'below 320'],
      { expected: 320, found: 400 },
    ],
  },
  MODEL_NOT_FINITE: {
    'the weights of a query model are no numbers': [
      async () =>
        all(
          (await model(changedModel('t5-v1_0/longweave', fresh(), (d) => noNumbers(join(d, 'weights.bin'))))).predict([
            'a text',
          ]),
        ),
      ['not finite', 'step 0', 'fp32'],
    ],
  },
  INFERENCE_FAILED: {
    'a model is not what its description says': [
      async () => {
        const wrong = changedModel('t5-v1_0/longweave', fresh(), (d) => {
          const path = join(d, 'longweave-model.json')
          writeFileSync(path, readFileSync(path, 'utf8').replace('"heads": 2', '"heads": 3'))
        })
        await all((await model(wrong)).predict(['a text']))
      },
      ['could not run', 'decoder.onnx'],
    ],
  },
  TOPICS_INVALID: {
    'a line of the file is no topic': [
      () => {
        const list = fresh('.txt')
        writeFileSync(list, 'tides\n{"query": "moon"}\n')
        return run({ ...noQueries, method: 'topics', topics: { source: 'file', file: list } })
      },
      [':2: ', '"topic"', 'fix the line'],
    ],
    'the command fails': [
      () =>
        run({ ...noQueries, method: 'topics', topics: { source: 'command', command: 'echo no model >&2; exit 7' } }),
      ['`topics.command`', '7', 'no model', 'run it by itself'],
    ],
  },
  NO_KEYWORDS: {
    'no query holds a keyword': [
      () => run({ keywords: { minScore: 1e6 } }),
      ['30 documents', '`minScore`', '`pool: all`'],
    ],
  },
  PLAN_EMPTY: {
    'no document has a neighbour': [
      () =>
        run({
          ...noQueries,
          method: 'nextlong',
          corpus: writeJsonl(
            fresh('.jsonl'),
            documents.map(({ id }) => ({ id, text: '1 2 3 4 5 6 7 8 9' })),
          ),
        }),
      ['no group', 'no document has a neighbour', '`vectors: tfidf` needs words'],
    ],
    'the corpus does not fill one sequence': [
      () => run({ length: 1_000_000 }),
      ['1000000 tokens', '`length`', '`incomplete: pad`'],
    ],
  },
  MEMORY_BUDGET: {
    'one sequence is larger than the memory': [
      () => run({ length: 20_000_000, incomplete: 'pad', memory: '16MiB' }),
      ['16777216', '`memory`'],
    ],
  },
  OUTPUT_EXISTS: {
    'the output directory holds something else': [
      () => run({ output: { directory: root } }),
      [/holds files .* \(\S+\)/, 'empty or new directory'],
    ],
  },
  OUTPUT_DENIED: {
    'the output cannot be created': [() => failing('create=denied'), ['cannot create', 'choose a directory']],
    'the output cannot be written': [() => failing('rename=denied@4'), ['cannot write', 'choose a directory']],
  },
  DISK_SPACE: {
    'what is to be written cannot fit': [
      () => run({ corpus: claiming(fresh(), documents, 8e12), method: 'standard' }),
      ['TB in', '--work', 'diskCheck'],
      { option: 'diskCheck' },
    ],
  },
  DISK_FULL: {
    'the disk is full': [() => failing('write=full@5'), ['cannot write', 'free some space and run again']],
  },
  IO: {
    'the output is to stand below a file': [
      () => run({ output: { directory: join(corpus, 'out') } }),
      ['corpus.jsonl'],
    ],
  },
  REMOTE_NOT_BUILT: {
    'a corpus stands behind a URL': [
      () => run({ corpus: 's3://bucket/corpus/' }),
      ['reads and writes no URLs', '--features remote'],
    ],
    'the output is to be sent to a URL': [
      () => run({ output: { directory: fresh(), upload: 's3://bucket/out' } }),
      ['--features remote', 'copy the files'],
    ],
  },
  FILE_CORRUPT: {
    'run.json is damaged': [
      async () => {
        const { out } = await prepared()
        writeFileSync(join(out, 'run.json'), '{"format":1,')
        await tasks(out)
      },
      ['run.json', 'is not JSON', 'delete'],
    ],
    'a result in the work directory is damaged': [
      async () => {
        const { out } = await prepared()
        for (const name of ['scan', 'ingest', 'documents']) await runTasks(out, name, 'all')
        const lens = join(
          out,
          '.work',
          readdirSync(join(out, '.work')).find((name) => name.startsWith('documents-')) ?? '',
          'lens',
        )
        const bytes = readFileSync(lens)
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
        writeFileSync(lens, bytes)
        for (const { stage: name } of await tasks(out)) await runTasks(out, name, 'all')
      },
      [/lens is damaged.*longweave task run .* documents --task 0/],
      { stage: 'documents', task: 0 },
    ],
    'the manifest is damaged': [
      async () => {
        const out = await outputOf()
        writeFileSync(join(out, 'longweave.json'), '{}')
        await readColumns(out)
      },
      ['longweave.json', 'is not a manifest'],
    ],
  },
  VERSION_MISMATCH: {
    'the work directory is of another version': [
      async () => {
        const work = fresh()
        mkdirSync(work)
        writeFileSync(join(work, 'VERSION'), 'longweave work directory, format 999\n')
        await run({ work })
      },
      ['format 999', '`--work`'],
    ],
    'run.json is of another version': [
      async () => {
        const { out } = await prepared()
        writeFileSync(join(out, 'run.json'), '{"format":999,"version":"9.0.0"}')
        await tasks(out)
      },
      ['run.json', '9.0.0', 'another output directory'],
    ],
  },
  RUN_LOCKED: {
    'another driver is at work': [
      async () => {
        const held = options({ output: { directory: fresh(), format: 'memory' } })
        const first = weave(held as MemoryRunOptions)
        try {
          await first.batches().next()
          await finished(held)
        } finally {
          await first[Symbol.asyncDispose]()
        }
      },
      ['held by process', String(process.pid), 'wait'],
    ],
  },
  RUN_MISMATCH: {
    'the directory belongs to a run with other options': [
      async () => {
        const { options: first } = await prepared()
        await finished({ ...first, seed: 7, method: 'standard' })
      },
      ['seed: 0 → 7', 'method.name', 'another output directory', '`--work`'],
    ],
  },
  RUN_NOT_PREPARED: {
    'the directory holds no run': [() => tasks(fresh()), ['run.json', 'longweave prepare']],
  },
  STAGE_NOT_FOUND: {
    'there is no such stage': [
      async () => runTasks((await prepared()).out, 'bake', 'all'),
      ['`bake`', 'scan, ingest, documents'],
    ],
    'the run has no such stage': [
      async () => runTasks((await prepared({ method: 'standard' })).out, 'index', 'all'),
      ['index', 'scan, ingest, documents, plan'],
    ],
    'there is no such task': [async () => runTasks((await prepared()).out, 'scan', 4), ['`4`', 'it has 1']],
    'the selection says nothing': [
      async () => runTasks((await prepared()).out, 'scan', { shard: [2, 2] }),
      ['{"shard":[2,2]}', 'K < N'],
    ],
  },
  NOT_KEYWORDED: {
    'the method uses no keywords': [
      async () => topKeywords((await prepared({ method: 'standard' })).out),
      ['has no keywords', 'standard'],
    ],
  },
  STAGE_NOT_READY: {
    'its inputs are not complete': [
      async () => runTasks((await prepared()).out, 'ingest', 'all'),
      ['task 0 of stage scan', '`longweave task run'],
      { stage: 'scan' },
    ],
  },
  SEQUENCE_NOT_FOUND: {
    'there is no such sequence': [async () => show(await outputOf(), 10_000), ['no sequence 10000', 'numbered from 0']],
  },
  VERIFY_FAILED: {
    'a byte of the output was flipped': [
      async () => {
        const out = await outputOf()
        const path = join(out, '00000.parquet')
        const bytes = readFileSync(path)
        bytes[40] = (bytes[40] ?? 0) ^ 1
        writeFileSync(path, bytes)
        await verify(out)
      },
      ['00000.parquet', 'SHA-256'],
      { file: '00000.parquet' },
    ],
  },
  OUTPUT_NOT_FOUND: {
    'the run has not finished': [async () => verify((await prepared()).out), ['longweave.json', 'not finished']],
  },
  CANCELLED: {
    'the caller cancels': [
      async () => {
        const cancelled = weave(options())
        cancelled.cancel()
        await cancelled.finished
      },
      ['cancelled', 'run it again'],
    ],
  },
  ADDON_MISSING: {
    'the addon does not load': [
      async () => {
        const program = `import('./dist/index.js').catch((e) => { console.log(e.code); console.log(e.message) })`
        const { out } = await node(['-e', program], {
          env: { NAPI_RS_NATIVE_LIBRARY_PATH: join(directory, 'none.node') },
        }).ended
        const [code, message] = out.split('\n')
        throw new LongweaveError(code as ErrorCode, message ?? '')
      },
      [`${process.platform}-${process.arch}`, '`npm run setup`'],
    ],
  },
}

/** Codes without a case above, each with the reason. */
const exempt: Partial<Record<ErrorCode, string>> = {
  REMOTE_DENIED: 'takes a build with remote storage and a store: scripts/remote/run.py raises it',
  REMOTE_FAILED: 'takes a build with remote storage and a store: scripts/remote/run.py raises it',
  PLACE_LOST: 'takes an engine that offers places: crates/worker/tests/drive.rs raises it',
  ENGINE_DENIED: 'takes a cluster: ray.test.ts has a server that behaves as one',
  ENGINE_FAILED: 'takes a cluster: ray.test.ts has a server that behaves as one',
  ENGINE_UNREACHABLE: 'is raised where no cluster answers: ray.test.ts',
  PLAN_TOO_LARGE: 'takes a document of 2³¹ tokens or 2³² groups: more memory than tests have',
  HANDLE_CLOSED: 'is raised by handles after `close()`: lifecycle.test.ts',
  INTERNAL: 'is a refusal by the system or a library that has no cause a test can make',
  PANIC: 'is a bug; no input is known that makes one',
}

/** The record of the first task of scan. */
function scanRecord(out: string): string {
  const name = readdirSync(join(out, '.work')).find((entry) => entry.startsWith('scan-'))
  return join(out, '.work', name ?? '', 'done/00000.json')
}

test('every code is raised below, or exempt for a reason', () => {
  expect([...Object.keys(cases), ...Object.keys(exempt)].toSorted()).toEqual(Object.keys(errorCodes).toSorted())
})

describe.each(Object.entries(cases))('%s', (code, ofCode) => {
  test.each(Object.entries(ofCode))(
    'says what, where and what to do where %s',
    async (_when, [raise, says, details]) => {
      const error = await failure(raise)
      expect(error.code).toBe(code)
      for (const part of says)
        expect(error.message).toMatch(
          typeof part === 'string' ? new RegExp(part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')) : part,
        )
      if (details !== undefined) expect(error.details).toMatchObject(details)
      expect(error.message).not.toMatch(/undefined|\[object|panicked at/)
    },
  )
})

test('onBadRow: skip leaves bad rows out and lists them with file, line, code and reason', async () => {
  const good = documents.map((document) => JSON.stringify(document))
  const bad = [
    '{"id":"x","text":',
    '[1,2]',
    '{"id":"y"}',
    '{"text":"w1"}',
    '{"id":"big","text":"' + 'w1 '.repeat(400) + '"}',
    '{"id":"z","text":"caf\xe9"}',
  ]
  const lines = good.flatMap((line, i) => [line, ...(bad[i] === undefined ? [] : [bad[i]])])
  const path = file('mixed.jsonl', Buffer.from(`${lines.join('\n')}\n`, 'latin1'))
  const out = fresh()
  const { summary } = await run({ corpus: path, onBadRow: 'skip', maxDocumentBytes: 1000, output: { directory: out } })
  expect(summary.corpus).toMatchObject({ rows: 36, documents: 30, rejected: 6 })
  expect(summary.warnings.join()).toContain('6 of 36 rows were rejected; rejects.jsonl')
  const rejects = parsed(readFileSync(join(out, 'rejects.jsonl'), 'utf8'))
  expect(rejects.map(({ file: name, line, code }) => [name, line, code])).toEqual([
    ['mixed.jsonl', 2, 'BAD_ROW'],
    ['mixed.jsonl', 4, 'BAD_ROW'],
    ['mixed.jsonl', 6, 'BAD_ROW'],
    ['mixed.jsonl', 8, 'BAD_ROW'],
    ['mixed.jsonl', 10, 'DOCUMENT_TOO_LARGE'],
    ['mixed.jsonl', 12, 'BAD_UTF8'],
  ])
  for (const { reason } of rejects) expect(String(reason).length).toBeGreaterThan(10)
  await verify(out)
  const clean = fresh()
  await run({ corpus, output: { directory: clean } })
  expect(filesOf(out)['00000.parquet']).toBe(filesOf(clean)['00000.parquet'])
})

test('after an error that a user can mend, the same command goes on', async () => {
  const out = fresh()
  const args = argv`${standardRun(out)} --json`
  for (const failpoint of ['done=denied@2', 'write=full@6', 'rename=full@4', 'create=denied@3']) {
    const { status } = await cli(args, { env: { LONGWEAVE_FAILPOINT: failpoint } })
    expect(status, failpoint).toBe(1)
    expect(existsSync(join(out, 'longweave.json'))).toBe(false)
  }
  const { status, out: events } = await cli(args)
  expect(status).toBe(0)
  expect(events).toContain('"state":"reused"')
  await verify(out)
})

test('after a bad row or a truncated file is mended, the same command goes on', async () => {
  const one = writeJsonl(fresh('.jsonl'), documents.slice(0, 10))
  const two = file('mend.jsonl', '{"id":"a","text":7}\n')
  const three = file('mend.jsonl.gz', half(gzip(jsonl(documents.slice(20)))))
  const given = options({ corpus: [one, two, three] })
  expect((await failure(() => finished(given))).code).toBe('INPUT_TRUNCATED')
  writeFileSync(three, gzip(jsonl(documents.slice(20))))
  expect((await failure(() => finished(given))).code).toBe('BAD_ROW')
  writeJsonl(two, documents.slice(10, 20))
  const { summary } = await finished(given)
  expect(summary.corpus?.documents).toBe(30)
  await verify(String(given.output?.directory))
})

test.each(['parquet', 'memory'] as const)(
  'a holdout of no sequence is a warning for %s that says what to do',
  async (format) => {
    const output = format === 'memory' ? { format } : { directory: fresh(), format }
    const { summary } = await run({ method: 'standard', length: 64, holdout: 0.001, output })
    expect(summary.holdout?.sequences).toBe(0)
    const [warning] = summary.warnings
    expect(warning).toMatch(/^the holdout has no sequence: .*raise `holdout`, or set `incomplete: pad`/)
    expect(warning).toContain(`readers of ${format} may refuse an empty output`)
  },
)

test('a tokenizer can be named by its directory, a separator by escapes, a size as Slurm writes it', async () => {
  const directoryOfModel = fresh()
  mkdirSync(directoryOfModel)
  copyFileSync(tokenizer, join(directoryOfModel, 'tokenizer.json'))
  const typed = await outputOf({
    method: 'standard',
    tokenizer: directoryOfModel,
    separator: String.raw`text:w1\tw2`,
    memory: '1G',
  })
  const given = await outputOf({ method: 'standard', separator: 'text:w1\tw2', memory: 2 ** 30 })
  expect(filesOf(typed)['00000.parquet']).toBe(filesOf(given)['00000.parquet'])
})
