// Documents one by one: those of a corpus, and those that callers hand over.
import type { Cancellation } from '#binding'
import * as z from 'zod'
import { binding } from './binding.ts'
import { LongweaveError } from './errors.ts'
import { fill } from './options.ts'
import { skipped } from './schema.ts'
import { Interruption, cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

/** A text and its id. */
export interface TextDocument {
  id: string
  text: string
}

const readSchema = z.strictObject({
  corpus: z.union([
    z
      .string()
      .min(1)
      .transform((path) => [path]),
    z.array(z.string().min(1)).min(1),
  ]),
  corpusRoot: z.string().min(1).nullable().default(null),
  textField: z.string().min(1).default('text'),
  textJoin: z.string().default('\n'),
  idField: z.string().min(1).nullable().default(null),
  maxDocumentBytes: z
    .int()
    .min(1)
    .default(64 * 2 ** 20),
})

/** Which documents to read; the names are those of a run's options. */
export interface ReadOptions extends CallOptions {
  /** Files, directories, globs and URLs. */
  corpus: string | string[]
  /** The directory or URL that paths of files are relative to. */
  corpusRoot?: string | null
  /** Field or column of the text; a nested one as a path, like `doc.text`. */
  textField?: string
  /** Joins the strings of a text that is a list. */
  textJoin?: string
  /** Field or column of the id; else path:row. */
  idField?: string | null
  /** A larger document is an error. */
  maxDocumentBytes?: number
}

/** Documents of one call of the core. */
const READ = 256

/**
 * The documents of a corpus in order; rows with an empty text are left out.
 * @throws LongweaveError `OPTIONS_INVALID`, `INPUT_NOT_FOUND`, `BAD_ROW` and the other errors of reading
 *
 * @example
 * ```ts
 * import { readDocuments } from 'longweave'
 *
 * let characters = 0
 * for await (const { text } of readDocuments({ corpus: 'docs.jsonl', idField: 'id' })) characters += text.length
 * console.log(characters)
 * ```
 */
export async function* readDocuments({
  signal,
  ...options
}: ReadOptions): AsyncGenerator<TextDocument, void, undefined> {
  signal?.throwIfAborted()
  const { corpus, corpusRoot, ...rest } = fill(readSchema, options)
  const core = {
    paths: corpus,
    root: corpusRoot,
    ...rest,
    skip: skipped,
    loneSurrogates: 'replace',
    queryField: null,
    sourceField: null,
    sourceNames: [],
    splitBytes: 1,
  }
  const cancellation = new binding.Cancellation()
  const open = (c: Cancellation) => binding.NativeDocuments.open(JSON.stringify(core), c)
  const reader = await cancellable(signal, open, cancellation)
  for (;;) {
    const read = await cancellable(signal, (c) => reader.next(READ, c), cancellation)
    if (read === null) return
    yield* JSON.parse(read) as TextDocument[]
  }
}

/** Documents, or texts, whose ids are their numbers. */
export type DocumentSource = AsyncIterable<string | TextDocument> | Iterable<string | TextDocument>

function documentOf(given: string | TextDocument, number: number): TextDocument {
  if (typeof given === 'string') return { id: String(number), text: given }
  const { id, text } = (given ?? {}) as Partial<TextDocument>
  if (typeof id === 'string' && typeof text === 'string') return { id, text }
  const message = `text ${number} must be a string, or an object with a string \`id\` and a string \`text\``
  throw new LongweaveError('BAD_ROW', message, { row: number })
}

/** Documents in batches of at most `size`. */
export async function* batched(texts: DocumentSource, size: number): AsyncGenerator<TextDocument[], void, undefined> {
  let batch: TextDocument[] = []
  let number = 0
  for await (const given of texts) {
    batch.push(documentOf(given, number))
    number += 1
    if (batch.length === size) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

/**
 * The results of `work` for each batch, in order; the next batch is begun while one is handed out, so that a device does not wait. Ends with
 * the reason of `signal` once it aborts, also while the next text is awaited.
 */
export async function* ahead<T>(
  batches: AsyncGenerator<TextDocument[], void, undefined>,
  work: (batch: TextDocument[]) => Promise<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  signal?.throwIfAborted()
  const aborted = new Interruption<never>()
  const abort = () =>
    aborted.fire(() => {
      throw signal?.reason
    })
  signal?.addEventListener('abort', abort, { once: true })
  let current: Promise<T> | undefined
  try {
    for (;;) {
      const batch = await aborted.until(batches.next())
      if (batch.done === true) break
      const next = work(batch.value)
      // Its error is met when it is awaited below.
      next.catch(() => {})
      if (current !== undefined) yield await current
      current = next
    }
    if (current !== undefined) yield await current
  } finally {
    signal?.removeEventListener('abort', abort)
    // Not awaited: a source that never answers must not keep the caller waiting.
    batches.return().catch(() => {})
  }
}
