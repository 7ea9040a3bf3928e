// Query prediction over documents, by itself.
import type { NativePredictor } from '#binding'
import * as z from 'zod'
import { binding } from './binding.ts'
import { counting } from './counting.ts'
import { ahead, batched } from './documents.ts'
import type { DocumentSource } from './documents.ts'
import { settled } from './errors.ts'
import type { PredictorInfo } from './generated/results.ts'
import { fill } from './options.ts'
import { generation, language, modelRun, seed, segmentTokens, threads } from './schema.ts'
import { abandonable, cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

const extractive = z.strictObject({ predictor: z.literal('extractive'), language, segmentTokens, threads })
/** The schema of a query model's options; the CLI's flags come from it too. */
export const modelSchema = z.strictObject({ segmentTokens, seed, threads, ...modelRun(''), ...generation('') })
const onnx = z.strictObject({ predictor: z.literal('onnx'), model: z.string().min(1), ...modelSchema.shape })
const predictorSchema = z.discriminatedUnion('predictor', [extractive, onnx])

/** Options of a predictor: the extractive one, or a query model with the options of a run's `queries`. */
export type QueryPredictorOptions =
  ({ predictor?: 'extractive' } & Omit<z.input<typeof extractive>, 'predictor'>) | z.input<typeof onnx>

/** A document with its queries: `queriesPerSegment` for each of its segments. */
export interface PredictedQueries {
  id: string
  queries: string[]
  /** The model's tokens of each query, with `tokenIds`. */
  tokenIds?: Uint32Array[]
}

/** Options of `QueryPredictor.predict`. */
export interface PredictOptions extends CallOptions {
  /** Documents that are predicted together. A model's batches depend on it. */
  batchSize?: number
  /** Return the tokens of each query too. */
  tokenIds?: boolean
}

export type { PredictorInfo } from './generated/results.ts'

/**
 * Writes short queries that a document would answer.
 *
 * @example
 * ```ts
 * import { QueryPredictor } from 'longweave'
 *
 * await using predictor = await QueryPredictor.open() // `{ predictor: 'onnx', model }` for a query model
 * const documents = ['Steam engines drove the mills of the valley until 1911.']
 * for await (const { id, queries } of predictor.predict(documents)) console.log(id, queries)
 * ```
 */
export class QueryPredictor implements AsyncDisposable {
  readonly #native: NativePredictor

  private constructor(native: NativePredictor) {
    this.#native = native
  }

  /**
   * Opens a predictor. The extractive one (the default) takes phrases of the document. With `predictor: 'onnx'`, a sequence-to-sequence model
   * is loaded from the directory `model`. docs/models.md lists the layouts of models, `tools/export` exports one.
   * @throws LongweaveError `ONNXRUNTIME_MISSING`, `ONNXRUNTIME_INCOMPATIBLE`, `DEVICE_UNAVAILABLE`, `MODEL_MISSING`, `MODEL_INVALID`,
   * `MODEL_MISMATCH`, `MODEL_TOKENIZER`
   */
  static async open(options: QueryPredictorOptions = {}, { signal }: CallOptions = {}): Promise<QueryPredictor> {
    const given = fill(predictorSchema, { predictor: 'extractive', ...options } as z.input<typeof predictorSchema>)
    const { predictor, model } = given.predictor === 'onnx' ? given : { predictor: given.predictor, model: null }
    const { seed: s, threads: n, ...queries } = fill(modelSchema, modelOptions(given))
    const core = JSON.stringify({
      queries: {
        predictor,
        file: null,
        model,
        checkpointSeconds: 0,
        ...queries,
      },
      language: given.predictor === 'extractive' ? given.language : 'auto',
      seed: s,
      threads: n,
    })
    return new QueryPredictor(
      await abandonable(
        signal,
        (c) => binding.NativePredictor.open(core, c),
        (late) => late.close(),
      ),
    )
  }

  /** The predictor's name and device. */
  get info(): PredictorInfo {
    return JSON.parse(this.#native.info) as PredictorInfo
  }

  /**
   * Queries of each document, in order, as documents come: at most two batches are read ahead. A model's draws depend on the seed and the
   * document's id alone. A text without an id has its number as its id.
   * @throws LongweaveError `MODEL_NOT_FINITE`, `INFERENCE_FAILED`, `HANDLE_CLOSED`
   */
  async *predict(
    documents: DocumentSource,
    { signal, batchSize = 256, tokenIds = false }: PredictOptions = {},
  ): AsyncGenerator<PredictedQueries, void, undefined> {
    counting('batchSize', batchSize, 1)
    const cancellation = new binding.Cancellation()
    const work = async (batch: { id: string; text: string }[]) => {
      const made = await cancellable(signal, (c) => this.#native.predict(JSON.stringify(batch), c), cancellation)
      const rows = JSON.parse(made) as { queries: string[]; tokenIds: number[][] }[]
      return rows.map((row, i): PredictedQueries => ({
        id: batch[i]?.id ?? '',
        queries: row.queries,
        ...(tokenIds && { tokenIds: row.tokenIds.map((ids) => Uint32Array.from(ids)) }),
      }))
    }
    try {
      for await (const rows of ahead(batched(documents, batchSize), work, signal)) yield* rows
    } finally {
      cancellation.cancel()
    }
  }

  /** Releases the model, once calls that are under way have ended. */
  async close(): Promise<void> {
    await settled(this.#native.close())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** The options that all predictors share with a query model. */
function modelOptions(given: z.output<typeof predictorSchema>): z.input<typeof modelSchema> {
  if (given.predictor === 'extractive') return { segmentTokens: given.segmentTokens, threads: given.threads }
  const { predictor: _predictor, model: _model, ...options } = given
  return options
}
