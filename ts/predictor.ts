// Query prediction over documents, by itself.
import type { Predictor } from '#binding'
import { z } from 'zod'
import { binding } from './binding.ts'
import { modelDirectory } from './bundled.ts'
import { ahead, batched } from './documents.ts'
import type { DocumentSource } from './documents.ts'
import { LongweaveError, call, settled } from './errors.ts'
import type { PredictorInfo } from './generated/results.ts'
import { fill } from './options.ts'
import { generation, modelRun, seed, segmentTokens, threads } from './schema.ts'

const extractiveSchema = z.strictObject({
  predictor: z.literal('extractive').default('extractive'),
  segmentTokens,
  threads,
})
/** The schema of a query model's options; the CLI's flags come from it too. */
export const modelSchema = z.strictObject({ segmentTokens, seed, threads, ...modelRun(''), ...generation('') })

/** Options of the extractive predictor. */
export type QueryPredictorOptions = z.input<typeof extractiveSchema>
/** Options of a query model: those of a run's `queries`, with seed and threads. */
export type QueryModelOptions = z.input<typeof modelSchema>

/** A document with its queries: `queriesPerSegment` for each of its segments. */
export interface PredictedQueries {
  id: string
  queries: string[]
  /** With `tokenIds`: the model's tokens of each query. */
  tokenIds?: Uint32Array[]
}

/** What a call of `predict` can ask for. */
export interface PredictOptions {
  /** Ends the call with the error CANCELLED. */
  signal?: AbortSignal
  /** Documents that are predicted together, which decides about batches. */
  batchSize?: number
  /** Whether to give the tokens of each query too. */
  tokenIds?: boolean
}

export type { PredictorInfo } from './generated/results.ts'

/** Seconds of a model's thread, and what it did in them. */
export interface PredictorTiming {
  encode: number
  decode: number
  rows: number
  choose: number
  steps: number
  steppedRows: number
}

/** Settles with `promise`, or rejects once `signal` says so; the call behind it is told through `cancel`. */
export async function cancellable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  cancel: () => void,
): Promise<T> {
  if (signal?.aborted === true) cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    return await settled(promise)
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}

/** A batch size from a caller. */
export function batchSizeOf(size: number): number {
  if (Number.isSafeInteger(size) && size >= 1) return size
  throw new LongweaveError('OPTIONS_INVALID', `\`batchSize\` must be a whole number of at least 1, but is ${size}`, {
    option: 'batchSize',
  })
}

/** A model that `load` has loaded, for the constructor. */
class Loaded {
  readonly native: Predictor
  constructor(native: Predictor) {
    this.native = native
  }
}

/** The core's options; a test keeps them equal to those of a run. */
function coreOptions(options: z.output<typeof modelSchema>, model: string | null): string {
  const { seed: s, threads: n, ...queries } = options
  const predictor = model === null ? 'extractive' : 'onnx'
  return JSON.stringify({
    queries: { predictor, file: null, model, checkpointSeconds: 0, ...queries },
    seed: s,
    threads: n,
  })
}

/** Writes short queries that a document would answer. */
export class QueryPredictor {
  readonly #native: Predictor

  /** The extractive predictor: phrases of the document that a query would most likely hold. For a model, see `load`. */
  constructor(options?: QueryPredictorOptions)
  /** @internal */
  constructor(loaded: Loaded)
  constructor(given: QueryPredictorOptions | Loaded = {}) {
    if (given instanceof Loaded) {
      this.#native = given.native
      return
    }
    const { segmentTokens: tokens, threads: n } = fill(extractiveSchema, given)
    this.#native = call(
      () => new binding.Predictor(coreOptions(fill(modelSchema, { segmentTokens: tokens, threads: n }), null)),
    )
  }

  /**
   * Loads an exported sequence-to-sequence model on ONNX Runtime, or `doc2query-mini`, which comes with longweave; see `docs/models.md` for layouts and `tools/export` for the exporter.
   * @throws LongweaveError `ONNXRUNTIME_MISSING`, `ONNXRUNTIME_INCOMPATIBLE`, `DEVICE_UNAVAILABLE`, `MODEL_MISSING`, `MODEL_INVALID`, `MODEL_MISMATCH`, `MODEL_TOKENIZER`
   */
  static async load(directory: string, options: QueryModelOptions = {}): Promise<QueryPredictor> {
    const resolved = coreOptions(fill(modelSchema, options), modelDirectory(directory))
    return new QueryPredictor(new Loaded(await settled(binding.Predictor.load(resolved))))
  }

  /** What predicts, and where. */
  get info(): PredictorInfo {
    return JSON.parse(call(() => this.#native.info)) as PredictorInfo
  }

  /** Where the time of the model's thread went so far; null without a model. */
  async timing(): Promise<PredictorTiming | null> {
    return JSON.parse(await settled(this.#native.timing())) as PredictorTiming | null
  }

  /**
   * Queries of each document, in order, as documents come: at most two batches are read ahead of what is asked for. What a model draws
   * depends on seed and id alone; texts without an id have their number.
   * @throws LongweaveError `CANCELLED`, `MODEL_NOT_FINITE`, `INFERENCE_FAILED`
   */
  async *predict(
    documents: DocumentSource,
    { signal, batchSize = 256, tokenIds = false }: PredictOptions = {},
  ): AsyncGenerator<PredictedQueries, void, undefined> {
    const cancellation = new binding.Cancellation()
    const work = async (batch: { id: string; text: string }[]) => {
      const made = await cancellable(this.#native.predict(JSON.stringify(batch), cancellation), signal, () =>
        cancellation.cancel(),
      )
      const rows = JSON.parse(made) as { queries: string[]; tokenIds: number[][] }[]
      return rows.map((row, i): PredictedQueries => ({
        id: batch[i]?.id ?? '',
        queries: row.queries,
        ...(tokenIds && { tokenIds: row.tokenIds.map((ids) => Uint32Array.from(ids)) }),
      }))
    }
    try {
      for await (const rows of ahead(batched(documents, batchSizeOf(batchSize)), work)) yield* rows
    } finally {
      cancellation.cancel()
    }
  }
}
