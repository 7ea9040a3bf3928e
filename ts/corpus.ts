// Corpora of documents that are handed over instead of read from files.
import type { NativeRun } from '#binding'
import { LongweaveError, settled } from './errors.ts'
import { Interruption } from './signal.ts'

/** A document that is handed over. The rules of its fields are those of a row of a JSONL file. */
export interface CorpusDocument {
  /** Its id; its number in the stream where it has none. */
  id?: string | number | bigint | null
  /** Its text; strings of a list are joined by `textJoin`. A document without text is empty, and counted as such. */
  text: string | readonly string[] | null
  /** Its source. */
  source?: string | number | bigint | boolean | null
  /** Its queries, for `queries.predictor: "precomputed"`. */
  queries?: string | readonly string[] | null
}

/** Documents one by one. */
export type DocumentStream = AsyncIterable<CorpusDocument> | Iterable<CorpusDocument>

/** A corpus: paths, directories, globs and URLs, or documents one by one. */
export type Corpus = string | string[] | DocumentStream

/** Rows are handed over in batches of about this many UTF-16 code units. */
const PUSH_UNITS = 1 << 20

/** Whether a corpus is documents rather than paths. */
export const isStream = (corpus: Corpus): corpus is DocumentStream =>
  typeof corpus === 'object' &&
  corpus !== null &&
  !(Array.isArray(corpus) && corpus.every((path) => typeof path === 'string'))

const exact = (value: unknown) => (typeof value === 'bigint' ? String(value) : value)

/** A document as a row of JSON. Whether it can be used is decided where rows are read, as for files. */
function row(document: unknown, number: number): string {
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    return JSON.stringify(document ?? null) ?? 'null'
  const { id, text, source, queries } = document as Record<string, unknown>
  return JSON.stringify({ id: exact(id) ?? String(number), text, source: exact(source), queries })
}

/** The next documents as rows, about `PUSH_UNITS`; shorter than that only at the end. */
async function take(iterator: AsyncIterator<CorpusDocument> | Iterator<CorpusDocument>, first: number) {
  const rows: string[] = []
  for (let units = 0; units < PUSH_UNITS;) {
    const next = await iterator.next()
    if (next.done === true) return { rows, done: true }
    const json = row(next.value, first + rows.length)
    rows.push(json)
    units += json.length
  }
  return { rows, done: false }
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
      if (taken.rows.length > 0) await settled(native.push(`${taken.rows.join('\n')}\n`))
      if (taken.done) {
        await settled(native.endInput())
        return undefined
      }
      number += taken.rows.length
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
