// longweave predict, longweave embed.
import { once } from 'node:events'
import type * as z from 'zod'
import { readDocuments } from '../documents.ts'
import type { ReadOptions, TextDocument } from '../documents.ts'
import { Embedder, embedderSchema } from '../embedder.ts'
import type { EmbedderOptions } from '../embedder.ts'
import { OutputFile } from '../output-file.ts'
import { QueryPredictor, modelSchema } from '../predictor.ts'
import type { QueryPredictorOptions } from '../predictor.ts'
import { quietFlags } from './command.ts'
import type { Command, OwnFlag } from './command.ts'
import { flagsOf } from './flags.ts'
import { interruptible } from './interrupt.ts'
import { UsageError, parse, required, wholeNumber } from './parse.ts'
import type { Parsed } from './parse.ts'
import { Counter } from './progress.ts'
import { jsonLine, printable } from './text.ts'

const flagsFrom = (schema: z.ZodType) => ({ byTopic: false, flags: () => flagsOf(schema) })

const input: Record<string, OwnFlag> = {
  corpus: { value: 'PATH', description: 'File, directory or glob (quote it) of documents.' },
  'text-field': { value: 'NAME', description: 'Field or column of the text.', default: 'text' },
  'id-field': {
    value: 'NAME',
    description: 'Field or column of the id; without it, the id is path:row.',
  },
  limit: { value: 'N', description: 'Most documents to read.', when: 'Use it to try a model.' },
}

/** To stdout, waiting where its reader is slower. */
async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

function documents({ values }: Parsed, command: string): AsyncIterable<TextDocument> {
  const options: ReadOptions = {
    corpus: required(values, 'corpus', command),
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

/** Runs `work` with files that appear complete or not at all, and with a signal that Ctrl-C raises. */
async function withOutput(
  paths: string[],
  work: (files: OutputFile[], signal: AbortSignal) => Promise<void>,
): Promise<number> {
  return interruptible('nothing was written', async (signal) => {
    const files: OutputFile[] = []
    try {
      for (const path of paths) files.push(await OutputFile.open(path))
      await work(files, signal)
    } catch (error) {
      for (const file of files) await file.abandon()
      throw error
    }
    for (const file of files) await file.commit()
  })
}

/** Whether progress is wanted. */
const wanted = ({ values }: Parsed) => values['quiet'] !== true && values['no-progress'] !== true

export const predictCommand: Command = {
  name: 'predict',
  group: 'parts',
  summary: 'queries of documents, by the extractive predictor or by a model',
  details: `Prints one object {id, queries} a line, or writes them to --out, the file that a run takes with --predictor precomputed --queries-file. Without --model it uses the extractive predictor, which is not a neural network.

For a large corpus use \`longweave run --predictor onnx --query-model DIR\` instead: it can be resumed.`,
  positionals: [],
  flags: {
    ...input,
    model: {
      value: 'DIR',
      description: 'Directory of the exported model.',
    },
    language: {
      value: 'CODE',
      description: 'Without --model: language of the documents, by its code; auto detects that of each.',
      default: 'auto',
    },
    out: { value: 'FILE', description: 'File for the queries; without it, they are printed.' },
    'token-ids': { description: "Adds the model's tokens of each query." },
    ...quietFlags,
  },
  options: flagsFrom(modelSchema),
  json: null,
  examples: [
    'longweave predict --corpus docs.jsonl --limit 3',
    "longweave predict --corpus 'data/*.jsonl.zst' --model doc2query --device cuda --out queries.jsonl",
  ],
  async run(args) {
    const parsed = parse(args, this)
    const { model: directory, out } = parsed.values
    const tokenIds = parsed.values['token-ids'] === true
    const texts = documents(parsed, this.name)
    const chosen =
      typeof directory === 'string'
        ? { predictor: 'onnx', model: directory }
        : { language: String(parsed.values['language']) }
    const options = { ...chosen, ...parsed.options } as QueryPredictorOptions
    return withOutput(typeof out === 'string' ? [out] : [], async ([file], signal) => {
      await using predictor = await QueryPredictor.open(options, { signal })
      const counter = new Counter('documents', wanted(parsed))
      for await (const { tokenIds: ids, ...row } of predictor.predict(texts, { signal, tokenIds })) {
        const line = jsonLine({ ...row, ...(ids !== undefined && { tokenIds: ids.map((list) => [...list]) }) })
        if (file === undefined) await print(line)
        else await file.write(line)
        counter.one()
      }
      const { name, device, model: layout, warning } = predictor.info
      if (warning !== null && parsed.values['quiet'] !== true)
        process.stderr.write(printable(`longweave: ${warning}\n`))
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
  group: 'parts',
  summary: 'vectors of documents, by a model',
  details: `Prints one object {id, embedding} a line, or writes them to an --out that ends in .jsonl. An --out that ends in .npy is one float32 matrix with a row for each document; FILE.ids.jsonl then holds their ids, one JSON string a line. A text longer than the model reads is cut.`,
  positionals: [],
  flags: {
    ...input,
    model: { value: 'DIR', description: 'Directory of the exported model.' },
    out: {
      value: 'FILE',
      description: 'File for the vectors, .jsonl or .npy; without it, they are printed.',
    },
    ...quietFlags,
  },
  options: flagsFrom(embedderSchema),
  json: null,
  examples: ['longweave embed --corpus docs.jsonl --model all-MiniLM-L6-v2 --out vectors.npy'],
  async run(args) {
    const parsed = parse(args, this)
    const { out } = parsed.values
    const directory = required(parsed.values, 'model', this.name)
    if (typeof out === 'string' && !/\.(jsonl|npy)$/.test(out))
      throw new UsageError(`--out must end in .jsonl or .npy, but is "${out}"`)
    const texts = documents(parsed, this.name)
    const options = { model: directory, ...parsed.options } as EmbedderOptions
    const npy = typeof out === 'string' && out.endsWith('.npy')
    return withOutput(
      typeof out !== 'string' ? [] : npy ? [out, `${out}.ids.jsonl`] : [out],
      async ([file, list], signal) => {
        await using embedder = await Embedder.open(options, { signal })
        const counter = new Counter('documents', wanted(parsed))
        const ids: string[] = []
        const remembered = async function* () {
          for await (const document of texts) {
            ids.push(document.id)
            yield document
          }
        }
        let row = 0
        if (npy) await file?.write(npyHeader(0, embedder.dimensions))
        for await (const vector of embedder.embed(remembered(), { signal })) {
          // Ids are read ahead of vectors; those handed out are let go.
          const id = ids.shift() ?? ''
          if (npy) {
            await file?.write(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))
            await list?.write(jsonLine(id))
          } else {
            const line = jsonLine({ id, embedding: [...vector] })
            if (file === undefined) await print(line)
            else await file.write(line)
          }
          row += 1
          counter.one()
        }
        if (npy) await file?.write(npyHeader(row, embedder.dimensions), 0)
        counter.end(`${embedder.dimensions} dimensions, on ${embedder.device}`)
      },
    )
  },
}
