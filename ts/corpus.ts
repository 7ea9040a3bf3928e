// Corpora of documents that are handed over instead of read from files.
import type { NativeRun } from '#binding'
import { LongweaveError, settled } from './errors.ts'
import { Interruption } from './signal.ts'

/** A document that is handed over. */
export interface CorpusDocument {
  /** Its id; its number in the stream where it has none. */
  id?: string
  /** Its text. */
  text: string
  /** Its source. */
  source?: string
  /** Its queries, for `queries.predictor: "precomputed"`. */
  queries?: string[]
}

/** Documents one by one. */
export type DocumentStream = AsyncIterable<CorpusDocument> | Iterable<CorpusDocument>

/** A corpus: paths, directories, globs and URLs, or documents one by one. */
export type Corpus = string | string[] | DocumentStream

/** Documents are handed over in batches of about this many UTF-16 code units. */
const PUSH_UNITS = 1 << 20

/** Whether a corpus is documents rather than paths. */
export const isStream = (corpus: Corpus): corpus is DocumentStream =>
  typeof corpus === 'object' &&
  corpus !== null &&
  !(Array.isArray(corpus) && corpus.every((path) => typeof path === 'string'))

/** The type of a value in words. */
function named(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Why a value is not a document; undefined where it is. */
function wrong(document: unknown): string | undefined {
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    return `it is ${named(document)}, not an object with a string \`text\``
  const { id, text, source, queries } = document as Record<string, unknown>
  if (text === undefined) return 'there is no field "text"'
  if (typeof text !== 'string') return `"text" is ${named(text)}, not a string`
  for (const [name, value] of Object.entries({ id, source }))
    if (value !== undefined && typeof value !== 'string') return `"${name}" is ${named(value)}, not a string`
  if (queries === undefined) return undefined
  if (!Array.isArray(queries)) return `"queries" is ${named(queries)}, not a list of strings`
  const other = queries.findIndex((query) => typeof query !== 'string')
  return other === -1 ? undefined : `"queries" holds ${named(queries[other])}, not strings`
}

/** A document without other fields. Its place is named as the core names it. */
function checked(document: CorpusDocument, number: number): CorpusDocument {
  const reason = wrong(document)
  if (reason !== undefined) {
    const location = `document ${number} of the pushed corpus (counted from 0)`
    throw new LongweaveError('BAD_ROW', `${location}: ${reason}; fix the document`, { document: number, reason })
  }
  const { id, text, source, queries } = document
  return {
    ...(id !== undefined && { id }),
    text,
    ...(source !== undefined && { source }),
    ...(queries !== undefined && { queries }),
  }
}

/** The next documents, about `PUSH_UNITS` of text; shorter than that only at the end. */
async function take(iterator: AsyncIterator<CorpusDocument> | Iterator<CorpusDocument>, first: number) {
  const batch: CorpusDocument[] = []
  for (let units = 0; units < PUSH_UNITS;) {
    const next = await iterator.next()
    if (next.done === true) return { batch, done: true }
    batch.push(checked(next.value, first + batch.length))
    units += next.value.text.length
  }
  return { batch, done: false }
}

/**
 * Hands the documents of `stream` to a run, in order, until the run has ended. Resolves with what kept the stream from being read to its end,
 * having cancelled the run. Never rejects.
 */
export async function feed(
  native: NativeRun,
  stream: DocumentStream,
  ended: Promise<unknown>,
): Promise<{ error: unknown } | undefined> {
  const over = new Interruption<null>()
  const stop = () => over.fire(() => null)
  ended.then(stop, stop)
  let iterator: AsyncIterator<CorpusDocument> | Iterator<CorpusDocument> | undefined
  try {
    iterator = Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]()
    for (let number = 0; ;) {
      // A stream that waits for its next document must not outlive the run.
      const taken = await over.until(take(iterator, number))
      if (taken === null) break
      if (taken.batch.length > 0) await settled(native.push(JSON.stringify(taken.batch)))
      if (taken.done) {
        await settled(native.endInput())
        return undefined
      }
      number += taken.batch.length
    }
  } catch (error) {
    native.cancel()
    close(iterator)
    // A refused document is the run's own error, which `finished` rejects with.
    return error instanceof LongweaveError && error.code === 'CANCELLED' ? undefined : { error }
  }
  close(iterator)
  return undefined
}

/** Ends a stream early; what it does then is its own affair. */
function close(iterator: AsyncIterator<CorpusDocument> | Iterator<CorpusDocument> | undefined): void {
  try {
    Promise.resolve(iterator?.return?.()).catch(() => {})
  } catch {
    // An iterator that cannot be closed is left to the collector.
  }
}
