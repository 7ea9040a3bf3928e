// longweave predict, longweave embed.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { once } from 'node:events'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { readDocuments } from '../documents.ts'
import type { ReadOptions, TextDocument } from '../documents.ts'
import { Embedder, embedderSchema } from '../embedder.ts'
import type { EmbedderOptions } from '../embedder.ts'
import { LongweaveError } from '../errors.ts'
import { QueryPredictor, modelSchema } from '../predictor.ts'
import type { QueryModelOptions, QueryPredictorOptions } from '../predictor.ts'
import type { Command } from './commands.ts'
import { flagsOf } from './flags.ts'
import { number } from './progress.ts'
import { jsonLine, printable } from './text.ts'
import { UsageError, parse, wholeNumber } from './usage.ts'
import type { OwnFlag, Parsed } from './usage.ts'

const flagsFrom = (schema: z.ZodType) => () =>
  flagsOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>)

const input: Record<string, OwnFlag> = {
  corpus: { type: 'string', description: 'file, directory or glob' },
  'text-field': { type: 'string', description: 'field or column of the text', default: 'text' },
  'id-field': { type: 'string', description: 'field or column of the id; else path:row' },
  limit: { type: 'string', description: 'only so many documents' },
}
const model: OwnFlag = { type: 'string', description: 'directory of the exported model' }

/** A file that appears when it is finished, or not at all. */
class OutputFile {
  readonly #path: string
  readonly #attempt: string
  readonly #file: number

  constructor(path: string) {
    this.#path = path
    this.#attempt = join(dirname(path), `.${basename(path)}.${process.pid}.part`)
    try {
      this.#file = openSync(this.#attempt, 'w')
    } catch (cause) {
      throw new LongweaveError(
        'OUTPUT_DENIED',
        `cannot write ${path}: ${(cause as Error).message}`,
        { file: path },
        { cause },
      )
    }
  }

  write(data: string | Uint8Array, position: number | null = null): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    try {
      for (let at = 0; at < bytes.length;)
        at += writeSync(this.#file, bytes, at, bytes.length - at, position === null ? null : position + at)
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code === 'ENOSPC' ? 'DISK_FULL' : 'IO'
      throw new LongweaveError(
        code,
        `cannot write ${this.#path}: ${(cause as Error).message}`,
        { file: this.#path },
        { cause },
      )
    }
  }

  commit(): void {
    fsyncSync(this.#file)
    closeSync(this.#file)
    renameSync(this.#attempt, this.#path)
  }

  abandon(): void {
    closeSync(this.#file)
    rmSync(this.#attempt, { force: true })
  }
}

/** To stdout, waiting where its reader is slower. */
async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

function documents({ values }: Parsed): AsyncIterable<TextDocument> {
  const { corpus } = values
  if (typeof corpus !== 'string') throw new UsageError('--corpus must be given')
  const options: ReadOptions = {
    corpus,
    textField: String(values['text-field']),
    ...(typeof values['id-field'] === 'string' && { idField: values['id-field'] }),
  }
  const all = readDocuments(options)
  return values['limit'] === undefined ? all : first(all, wholeNumber(values['limit'], '--limit'))
}

async function* first<T>(items: AsyncIterable<T>, most: number): AsyncGenerator<T, void, undefined> {
  let left = most
  if (left === 0) return
  for await (const item of items) {
    yield item
    left -= 1
    if (left === 0) return
  }
}

/** How many documents are done, on a terminal, about ten times a second. */
class Counter {
  readonly #shown = process.stderr.isTTY === true
  readonly #began = Date.now()
  #last = 0
  #count = 0

  one(): void {
    this.#count += 1
    const now = Date.now()
    if (!this.#shown || now - this.#last < 100) return
    this.#last = now
    process.stderr.write(
      `\r\u001b[2K  ${number(this.#count)} documents  ${number(this.#count / Math.max((now - this.#began) / 1000, 1e-3))}/s`,
    )
  }

  /** Says what it came to. */
  end(what: string): void {
    const seconds = (Date.now() - this.#began) / 1000
    if (this.#shown) process.stderr.write('\r\u001b[2K')
    process.stderr.write(
      printable(
        `longweave: ${this.#count.toLocaleString('en')} documents in ${seconds.toFixed(1)} s (${number(this.#count / Math.max(seconds, 1e-3))}/s), ${what}\n`,
      ),
    )
  }
}

/** Runs `work` with a signal that Ctrl-C raises and, where they are named, files that stand whole or not at all. */
async function withOutput(
  paths: string[],
  work: (files: OutputFile[], signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const interrupt = new AbortController()
  const stop = () => (interrupt.signal.aborted ? process.exit(130) : interrupt.abort())
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  const files = paths.map((path) => new OutputFile(path))
  try {
    await work(files, interrupt.signal)
    for (const file of files) file.commit()
    return 0
  } catch (error) {
    for (const file of files) file.abandon()
    if (!interrupt.signal.aborted) throw error
    process.stderr.write('longweave: interrupted; nothing was written\n')
    return 130
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

export const predictCommand: Command = {
  name: 'predict',
  summary: 'queries of documents, by the extractive predictor or by a model',
  usage: 'longweave predict --corpus PATH [--model DIR] [--out queries.jsonl] [options]',
  details: `One object {id, queries} a line, to stdout or to --out, which a run takes with --predictor precomputed --queries-file. Without --model: the extractive
predictor, which is no neural network. For a large corpus let \`longweave run --predictor onnx --model DIR\` predict: it resumes where it was interrupted.`,
  flags: {
    ...input,
    model: { ...model, description: `${model.description}, or doc2query-mini, which comes with longweave` },
    out: { type: 'string', description: 'file that the queries go to' },
    'token-ids': { type: 'boolean', description: "the model's tokens of each query too" },
  },
  options: { title: 'Options of the predictor', flags: flagsFrom(modelSchema) },
  examples: [
    'longweave predict --corpus docs.jsonl --limit 3',
    "longweave predict --corpus 'data/*.jsonl.zst' --model doc2query --device cuda --out queries.jsonl",
  ],
  async run(args) {
    const parsed = parse(args, this.flags, { list: this.options?.flags() ?? [] })
    const { model: directory, out } = parsed.values
    const tokenIds = parsed.values['token-ids'] === true
    const texts = documents(parsed)
    const predictor =
      typeof directory === 'string'
        ? await QueryPredictor.load(directory, parsed.options as QueryModelOptions)
        : new QueryPredictor(parsed.options as QueryPredictorOptions)
    return withOutput(typeof out === 'string' ? [out] : [], async ([file], signal) => {
      const counter = new Counter()
      for await (const { tokenIds: ids, ...row } of predictor.predict(texts, { signal, tokenIds })) {
        const line = jsonLine({ ...row, ...(ids !== undefined && { tokenIds: ids.map((list) => [...list]) }) })
        if (file === undefined) await print(line)
        else file.write(line)
        counter.one()
      }
      const { name, device, model: layout, warning } = predictor.info
      if (warning !== null) process.stderr.write(printable(`longweave: ${warning}\n`))
      counter.end(`by ${name}${layout === null ? '' : `, ${layout}`}${device === null ? '' : `, on ${device}`}`)
    })
  },
}

/** The header of a .npy file of `rows` float32 vectors, padded so that its length does not depend on their number. */
function npyHeader(rows: number, dimensions: number): Buffer {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${dimensions}), }`
  const padded = `${text.padEnd(117)}\n`
  return Buffer.concat([
    Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length, 0]),
    Buffer.from(padded, 'latin1'),
  ])
}

export const embedCommand: Command = {
  name: 'embed',
  summary: 'vectors of documents, by a model',
  usage: 'longweave embed --corpus PATH --model DIR [--out vectors.npy] [options]',
  details: `One object {id, embedding} a line, to stdout or to an --out that ends in .jsonl. An --out that ends in .npy is one float32 matrix, a row for each document,
and FILE.ids.jsonl beside it holds their ids, a JSON string a line. A text longer than the model's bound is cut there.`,
  flags: { ...input, model, out: { type: 'string', description: 'file that the vectors go to: .jsonl or .npy' } },
  options: { title: 'Options of the embedder', flags: flagsFrom(embedderSchema) },
  examples: ['longweave embed --corpus docs.jsonl --model all-MiniLM-L6-v2 --out vectors.npy'],
  async run(args) {
    const parsed = parse(args, this.flags, { list: this.options?.flags() ?? [] })
    const { model: directory, out } = parsed.values
    if (typeof directory !== 'string') throw new UsageError('--model must be given')
    if (typeof out === 'string' && !/\.(jsonl|npy)$/.test(out))
      throw new UsageError(`--out must end in .jsonl or .npy, but is "${out}"`)
    const texts = documents(parsed)
    const embedder = await Embedder.load(directory, parsed.options as EmbedderOptions)
    const npy = typeof out === 'string' && out.endsWith('.npy')
    return withOutput(
      typeof out !== 'string' ? [] : npy ? [out, `${out}.ids.jsonl`] : [out],
      async ([file, list], signal) => {
        const counter = new Counter()
        const ids: string[] = []
        const remembered = async function* () {
          for await (const document of texts) {
            ids.push(document.id)
            yield document
          }
        }
        let row = 0
        if (npy) file?.write(npyHeader(0, embedder.dimensions))
        for await (const vector of embedder.embed(remembered(), { signal })) {
          // Ids are read ahead of vectors; those handed out are let go.
          const id = ids.shift() ?? ''
          if (npy) {
            file?.write(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))
            list?.write(jsonLine(id))
          } else {
            const line = jsonLine({ id, embedding: [...vector] })
            if (file === undefined) await print(line)
            else file.write(line)
          }
          row += 1
          counter.one()
        }
        if (npy) file?.write(npyHeader(row, embedder.dimensions), 0)
        counter.end(`${embedder.dimensions} dimensions, on ${embedder.device}`)
      },
    )
  },
}
