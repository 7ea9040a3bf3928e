// Documents one by one: those of a corpus, and those that callers hand over.
import { binding } from './binding.ts'
import { call, settled } from './errors.ts'

/** A text and its id. */
export interface TextDocument {
  id: string
  text: string
}

/** Where documents are; as in the options of a run. */
export interface ReadOptions {
  /** Files, directories and globs. */
  corpus: string | string[]
  corpusRoot?: string | null
  textField?: string
  /** Field or column of the id; else path:row. */
  idField?: string | null
  maxDocumentBytes?: number
}

/** Documents read at once. */
const READ = 256

/**
 * The documents of a corpus in order; rows with an empty text are left out.
 * @throws LongweaveError `INPUT_NOT_FOUND`, `BAD_ROW` and the others of reading
 */
export async function* readDocuments({
  corpus,
  corpusRoot = null,
  textField = 'text',
  idField = null,
  maxDocumentBytes = 64 * 2 ** 20,
}: ReadOptions): AsyncGenerator<TextDocument, void, undefined> {
  const paths = typeof corpus === 'string' ? [corpus] : corpus
  const options = {
    paths,
    root: corpusRoot,
    textField,
    idField,
    queryField: null,
    sourceField: null,
    maxDocumentBytes,
    splitBytes: 1,
  }
  const reader = call(() => binding.Documents.open(JSON.stringify(options)))
  for (;;) {
    const read = await settled(reader.next(READ))
    if (read === null) return
    yield* JSON.parse(read) as TextDocument[]
  }
}

/** Documents, or texts, whose ids are their numbers. */
export type DocumentSource = AsyncIterable<string | TextDocument> | Iterable<string | TextDocument>

/** Documents in batches of at most `size`. */
export async function* batched(texts: DocumentSource, size: number): AsyncGenerator<TextDocument[], void, undefined> {
  let batch: TextDocument[] = []
  let number = 0
  for await (const given of texts) {
    batch.push(typeof given === 'string' ? { id: String(number), text: given } : { id: given.id, text: given.text })
    number += 1
    if (batch.length === size) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

/** What `work` gives for each batch, in order; the next batch is begun while one is handed out, so that a device does not wait. */
export async function* ahead<T>(
  batches: AsyncGenerator<TextDocument[], void, undefined>,
  work: (batch: TextDocument[]) => Promise<T>,
): AsyncGenerator<T, void, undefined> {
  let current: Promise<T> | undefined
  try {
    for await (const batch of batches) {
      const next = work(batch)
      // Its error is met when it is awaited below.
      next.catch(() => {})
      if (current !== undefined) yield await current
      current = next
    }
    if (current !== undefined) yield await current
  } finally {
    await batches.return()
  }
}
