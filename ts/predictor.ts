// Query prediction over documents, by itself.
import type { Predictor } from '#binding'
import { binding } from './binding.ts'
import { call, settled } from './errors.ts'

/** Options of QueryPredictor. */
export interface QueryPredictorOptions {
  /** The extractive predictor: phrases of the document that a query would most likely hold. */
  predictor?: 'extractive'
  /** Tokens of a segment of a long document, each of which has a query. */
  segmentTokens?: number
}

/** A document with its queries, one for each segment. */
export interface PredictedQueries {
  id: string
  queries: string[]
}

const BATCH = 256

/** Writes short queries that a document would answer. */
export class QueryPredictor {
  readonly #native: Predictor

  constructor({ segmentTokens = 384 }: QueryPredictorOptions = {}) {
    this.#native = call(() => new binding.Predictor(JSON.stringify({ segmentTokens })))
  }

  /** Queries of each document, in order, as documents come. */
  async *predict(documents: AsyncIterable<{ id: string; text: string }> | Iterable<{ id: string; text: string }>): AsyncGenerator<PredictedQueries, void, undefined> {
    let batch: { id: string; text: string }[] = []
    const flush = async () => {
      const lists = JSON.parse(await settled(this.#native.predict(JSON.stringify(batch)))) as string[][]
      const rows = batch.map(({ id }, i) => ({ id, queries: lists[i] ?? [] }))
      batch = []
      return rows
    }
    for await (const { id, text } of documents) {
      batch.push({ id, text })
      if (batch.length === BATCH) yield* await flush()
    }
    if (batch.length > 0) yield* await flush()
  }
}
