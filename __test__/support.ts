// Shared by tests: folders that vanish, a tokenizer whose tokens are words, small corpora, packed files, runs and child processes.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll } from 'vitest'
import { binding } from '../ts/binding.ts'
import { LongweaveError, openRun, readSequences, weave } from '../ts/index.ts'
import type {
  ErrorCode,
  KeywordCount,
  ReadSequencesOptions,
  RunEvent,
  RunOptions,
  Sequence,
  Stage,
  StageInfo,
  Summary,
  TaskRecord,
  TaskSelection,
} from '../ts/index.ts'

/** The repository. */
export const root = fileURLToPath(new URL('..', import.meta.url))
/** Whether slow loops run too. */
export const full = process.env['LONGWEAVE_FULL'] === '1'

/** A folder that is removed after the tests of the file. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'longweave-test-'))
  afterAll(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A tokenizer.json that splits at white space: `w0` … `w99` are ids 2 … 101, others unknown. */
export function wordTokenizer(directory: string): string {
  const vocab: Record<string, number> = { '<|endoftext|>': 0, '<pad>': 1, '<s>': 102, '<unk>': 103 }
  for (let i = 0; i < 100; i += 1) vocab[`w${i}`] = i + 2
  const special = (content: string) => ({
    id: vocab[content],
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    normalizer: null,
    post_processor: null,
    decoder: null,
    added_tokens: ['<|endoftext|>', '<pad>', '<s>', '<unk>'].map(special),
    pre_tokenizer: { type: 'WhitespaceSplit' },
    model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
  }
  const path = join(directory, 'words.json')
  writeFileSync(path, JSON.stringify(file))
  return path
}

/** Like `wordTokenizer`, but `w80` … `w99` end with a newline, and texts are cut at spaces alone. Without a decoder, tokens are decoded with spaces between them. */
export function lineTokenizer(directory: string): string {
  const file = JSON.parse(readFileSync(wordTokenizer(directory), 'utf8')) as {
    pre_tokenizer: object
    model: { vocab: Record<string, number> }
  }
  file.pre_tokenizer = { type: 'Split', pattern: { String: ' ' }, behavior: 'Removed', invert: false }
  file.model.vocab = Object.fromEntries(Object.entries(file.model.vocab).map(([word, id]) => [inLines(word), id]))
  const path = join(directory, 'lines.json')
  writeFileSync(path, JSON.stringify(file))
  return path
}

/** A text of words as `lineTokenizer` knows them: a newline after each of `w80` … `w99`. */
export const inLines = (text: string) => text.replaceAll(/w[89]\d/g, '$&\n')

/** Numbers from a seed, the same everywhere (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A document of a test corpus: `tokens` words and, where it has one, a keyword as its query. */
export interface TestDocument {
  id: string
  text: string
  query: string[]
}

const subjects = ['player', 'engine', 'river', 'bridge', 'garden', 'planet']
const kinds = ['football', 'steam', 'mountain', 'wooden', 'winter', 'silver', 'chess', 'brazilian football']

/** A random corpus: lengths from 1 to `most`, keywords that share heads. */
export function randomCorpus(seed: number, documents: number, most: number): TestDocument[] {
  const random = randomNumbers(seed)
  const pick = <T>(list: T[]) => list[Math.floor(random() * list.length)] as T
  return Array.from({ length: documents }, (_, i) => {
    const length = 1 + Math.floor(random() * most)
    const text = Array.from({ length }, () => `w${Math.floor(random() * 100)}`).join(' ')
    return { id: `doc-${i}`, text, query: random() < 0.12 ? [] : [`${pick(kinds)} ${pick(subjects)}`] }
  })
}

/** Writes documents as JSONL. */
export function writeJsonl(path: string, rows: object[]): string {
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return path
}

/** Writes documents as a folder of texts, and one more that claims to hold `bytes` without taking that room. */
export function claiming(path: string, documents: TestDocument[], bytes: number): string {
  mkdirSync(path)
  for (const { id, text } of documents) writeFileSync(join(path, `${id}.txt`), text)
  writeFileSync(join(path, 'huge.txt'), '')
  truncateSync(join(path, 'huge.txt'), bytes)
  return path
}

/** Writes vectors of one length as a NumPy file: float32, row by row. */
export function writeNpy(path: string, rows: Float32Array[]): string {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows.length}, ${rows[0]?.length ?? 0}), }`
  // Magic bytes, version and the header's length take 10 bytes; data begin at a multiple of 64.
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`
  const head = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, padded.length % 256, padded.length >> 8])
  writeFileSync(
    path,
    Buffer.concat([
      head,
      Buffer.from(padded),
      ...rows.map((row) => Buffer.from(row.buffer, row.byteOffset, row.byteLength)),
    ]),
  )
  return path
}

/** Files below a directory with the SHA-256 of their contents, by path with `/`; hidden ones and run.json, which tell of the run, left out. */
export function filesOf(directory: string, prefix = ''): Record<string, string> {
  const files: Record<string, string> = {}
  for (const entry of readdirSync(join(directory, prefix), { withFileTypes: true })) {
    const path = prefix + entry.name
    if (entry.name.startsWith('.') || path === 'run.json') continue
    if (entry.isDirectory()) Object.assign(files, filesOf(directory, `${path}/`))
    else
      files[path] = createHash('sha256')
        .update(readFileSync(join(directory, path)))
        .digest('hex')
  }
  return files
}

type Tree = Record<string, Record<string, unknown>>

/** Like `filesOf`, manifests without what names the input: for outputs whose corpora hold the same documents in other files. */
export function dataOf(directory: string): Record<string, unknown> {
  const files: Record<string, unknown> = filesOf(directory)
  for (const path of Object.keys(files)) {
    if (path.endsWith('SHA256SUMS')) delete files[path]
    if (!path.endsWith('longweave.json')) continue
    const {
      inputs: _inputs,
      options,
      counts,
      ...rest
    } = JSON.parse(readFileSync(join(directory, path), 'utf8')) as Tree
    const corpus = { ...(counts?.['corpus'] as object), files: null }
    files[path] = { ...rest, options: { ...options, corpus: null }, counts: { ...counts, corpus } }
  }
  return files
}

/** Rows as lines of JSON. */
export const jsonl = (rows: object[]) => Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))

/** The values of lines of JSON. */
export const parsed = <T = Record<string, unknown>>(lines: string): T[] =>
  lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T)

/** `bytes` in `parts` gzip members. */
export function gzip(bytes: Buffer, parts = 1): Buffer {
  return Buffer.concat(cut(bytes, parts).map((part) => gzipSync(part)))
}

/** `bytes` in `parts` Zstandard frames of raw blocks: Node 20 cannot compress, and readers must not care. */
export function zstd(bytes: Buffer, parts = 1): Buffer {
  return Buffer.concat(cut(bytes, parts).flatMap(frame))
}

function frame(content: Buffer): Buffer[] {
  // Magic number; descriptor: one segment, content size of four bytes; the size.
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0])
  head.writeUInt32LE(content.length, 5)
  const most = 1 << 17
  const blocks = cut(content, Math.max(1, Math.ceil(content.length / most)))
  return [
    head,
    ...blocks.flatMap((block, i) => {
      const header = Buffer.alloc(3)
      header.writeUIntLE(block.length * 8 + (i === blocks.length - 1 ? 1 : 0), 0, 3)
      return [header, block]
    }),
  ]
}

function cut(bytes: Buffer, parts: number): Buffer[] {
  return Array.from({ length: parts }, (_, i) =>
    bytes.subarray(Math.floor((bytes.length * i) / parts), Math.floor((bytes.length * (i + 1)) / parts)),
  )
}

/** A Parquet file of string columns, uncompressed, in row groups of `groupRows`; null stands for a missing value. */
export function parquet(columns: Record<string, (string | null)[]>, groupRows = 16, decimals: string[] = []): Buffer {
  const names = Object.keys(columns)
  const rows = columns[names[0] ?? '']?.length ?? 0
  const parts: Buffer[] = [Buffer.from('PAR1')]
  let at = 4
  const groups = Array.from({ length: Math.ceil(rows / groupRows) }, (_, group) => {
    const n = Math.min(groupRows, rows - group * groupRows)
    const chunks = names.map((name) => {
      const values = (columns[name] ?? []).slice(group * groupRows, group * groupRows + n)
      // Whether each value is there: a run of one for each.
      const levels = Buffer.from(values.flatMap((value) => [2, value === null ? 0 : 1]))
      const strings = values.filter((value) => value !== null).map((value) => Buffer.from(value))
      const data = Buffer.concat([
        u32(levels.length),
        levels,
        ...strings.flatMap((value) => [u32(value.length), value]),
      ])
      const page = struct({
        1: i32(0),
        2: i32(data.length),
        3: i32(data.length),
        5: struct({ 1: i32(n), 2: i32(0), 3: i32(3), 4: i32(3) }),
      })
      const size = page.bytes.length + data.length
      const meta = struct({
        1: i32(6),
        2: array([i32(0)]),
        3: array([string(name)]),
        4: i32(0),
        5: i64(n),
        6: i64(size),
        7: i64(size),
        9: i64(at),
      })
      parts.push(page.bytes, data)
      at += size
      return struct({ 2: i64(at - size), 3: meta })
    })
    return struct({ 1: array(chunks), 2: i64(1), 3: i64(n) })
  })
  const leaves = names.map((name) => {
    const type = decimals.includes(name) ? { 6: i32(5), 7: i32(0), 8: i32(9) } : { 6: i32(0) }
    return struct({ 1: i32(6), 3: i32(1), 4: string(name), ...type })
  })
  const footer = struct({
    1: i32(1),
    2: array([struct({ 4: string('schema'), 5: i32(names.length) }), ...leaves]),
    3: i64(rows),
    4: array(groups),
  }).bytes
  return Buffer.concat([...parts, footer, u32(footer.length), Buffer.from('PAR1')])
}

/** A value of Thrift's compact protocol, in which a Parquet file's metadata is written. */
interface Thrift {
  type: number
  bytes: Buffer
}
const u32 = (n: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(n)
  return bytes
}
const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))])
const i32 = (n: number): Thrift => ({ type: 5, bytes: Buffer.from(varint(2 * n)) })
const i64 = (n: number): Thrift => ({ type: 6, bytes: Buffer.from(varint(2 * n)) })
const string = (value: string): Thrift => ({
  type: 8,
  bytes: Buffer.concat([Buffer.from(varint(Buffer.byteLength(value))), Buffer.from(value)]),
})
const array = (items: Thrift[]): Thrift => {
  const header = Buffer.from([0xf0 + (items[0]?.type ?? 12), ...varint(items.length)])
  return { type: 9, bytes: Buffer.concat([header, ...items.map(({ bytes }) => bytes)]) }
}
function struct(fields: Record<number, Thrift>): Thrift {
  let last = 0
  const parts = Object.entries(fields).map(([id, { type, bytes }]) => {
    const header = (Number(id) - last) * 16 + type
    last = Number(id)
    return Buffer.concat([Buffer.from([header]), bytes])
  })
  return { type: 12, bytes: Buffer.concat([...parts, Buffer.from([0])]) }
}

/** The stages of a run of Quest that spools nothing, in their order. */
export const questStages = 'scan ingest documents predict extract index plan report route scatter pack seal'.split(
  ' ',
) as Stage[]

/** Options that tests lay theirs on: documents with the fields id, text and query, words as tokens. */
export const plain = {
  idField: 'id',
  queryField: 'query',
  queries: { predictor: 'precomputed' },
  keywords: { boilerplate: 'none', hierarchy: 'suffix' },
  threads: 2,
} as const satisfies Partial<RunOptions>

/** Everything an async iterable gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

/** Runs to the end: events, summary. */
export async function finished(options: RunOptions): Promise<{ events: RunEvent[]; summary: Summary }> {
  const run = weave(options)
  return { events: await all(run), summary: await run.finished }
}

/** The state of each stage of a run, from its events. */
export function states(events: RunEvent[]): Partial<Record<Stage, string>> {
  return Object.fromEntries(
    events.flatMap((event) =>
      event.type === 'stage' && event.state !== 'started' ? [[event.stage, event.state]] : [],
    ),
  )
}

/** A LongweaveError of any code. */
export type Failure = Error & { code: ErrorCode; details: Record<string, unknown> }

/** The error that `work` ends with; a LongweaveError, or the test fails. */
export async function failure(work: () => unknown): Promise<Failure> {
  try {
    await work()
  } catch (error) {
    if (error instanceof LongweaveError) return error as Failure
    throw error
  }
  throw new Error('it was expected to fail, but did not')
}

/** A sequence with the columns of its pieces, which tests compare more easily than pieces. */
export function asColumns({ index, inputIds, tokenCount, docIds, pieces }: Sequence) {
  return {
    index,
    inputIds,
    tokenCount,
    docIds,
    starts: pieces.map((piece) => piece.start),
    lengths: pieces.map((piece) => piece.length),
    docOffsets: pieces.map((piece) => piece.docOffset),
    reasons: pieces.map((piece) => piece.reason),
    groups: pieces.map((piece) => piece.group),
  }
}
/** A sequence as columns. */
export type Columns = ReturnType<typeof asColumns>

/** The sequences of an output as columns. */
export async function readColumns(location: string, options: ReadSequencesOptions = {}): Promise<Columns[]> {
  return (await all(readSequences(location, options))).map(asColumns)
}

/** The keywords with most documents of a run. */
export const topKeywords = async (directory: string, limit?: number): Promise<KeywordCount[]> =>
  await (await openRun(directory)).topKeywords(limit === undefined ? {} : { limit })

/** The stages of a prepared run. */
export const tasks = async (directory: string): Promise<StageInfo[]> => await (await openRun(directory)).tasks()

/** Runs tasks of a prepared run. */
export const runTasks = async (directory: string, stage: string, selection: TaskSelection): Promise<TaskRecord[]> =>
  await (await openRun(directory)).runTasks({ stage: stage as Stage, tasks: selection })

/** Trains a tokenizer on a file, as the demo does. */
export async function trainTokenizer(corpus: string, out: string, vocabSize: number): Promise<{ documents: number }> {
  const specialTokens = ['<|endoftext|>', '<|pad|>']
  const options = { corpus: [corpus], out, vocabSize, minFrequency: 2, specialTokens, textField: 'text' }
  return JSON.parse(await binding.trainTokenizer(JSON.stringify(options), new binding.Cancellation())) as {
    documents: number
  }
}

/** A sequence as plain data, its number left out. */
export function asData({ index: _index, inputIds, ...rest }: Sequence | Columns): object {
  return { inputIds: [...inputIds], ...rest }
}

/** How a child process ended. */
export interface Ended {
  status: number | null
  signal: NodeJS.Signals | null
  out: string
  err: string
}

/** Options of a child process. */
export interface NodeOptions {
  env?: NodeJS.ProcessEnv
  input?: string
  cwd?: string
}

const children = new Set<ChildProcess>()
// A test that failed may have left its process waiting for ever.
afterAll(() => children.forEach((child) => child.kill('SIGKILL')))

/** A child process of Node and how it ends. */
export function node(
  args: string[],
  { env = {}, input = '', cwd = root }: NodeOptions = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  children.add(child)
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (status, signal) => {
      children.delete(child)
      resolve({ status, signal, out, err })
    }),
  )
  return { child, ended }
}

/** The command line, as it is installed. */
export const cli = (args: string[], options: NodeOptions = {}) =>
  node([join(root, 'dist/cli/main.js'), ...args], options).ended

/** The arguments of a command line: the words of the text; what is put in is one argument, a list several. */
export const argv = (texts: TemplateStringsArray, ...values: (string | string[])[]): string[] =>
  texts.flatMap((text, i) => [...text.split(/\s+/).filter(Boolean), ...[values[i] ?? []].flat()])

/** Environment of a process that waits at the first task of a stage, and the function that releases it. */
export function heldAt(stage: Stage, gate: string): { env: NodeJS.ProcessEnv; open: () => void } {
  const env = {
    LONGWEAVE_FAILPOINT: 'task=wait',
    LONGWEAVE_FAILPOINT_PATH: `/${stage}-`,
    LONGWEAVE_FAILPOINT_GATE: gate,
  }
  return { env, open: () => writeFileSync(gate, '') }
}
