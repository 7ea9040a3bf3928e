// Text embedding on ONNX Runtime.
import type { NativeEmbedder } from '#binding'
import * as z from 'zod'
import { binding } from './binding.ts'
import { counting } from './counting.ts'
import { ahead, batched } from './documents.ts'
import type { DocumentSource } from './documents.ts'
import { settled } from './errors.ts'
import { fill } from './options.ts'
import { inVectors, modelRun, threads } from './schema.ts'
import { abandonable, cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

const options = {
  ...modelRun(''),
  pooling: inVectors(
    z.enum(['auto', 'mean', 'cls']).default('auto'),
    '--pooling RULE',
    "How the vectors of a text's tokens become one; auto as the model's files say, else the mean.",
    'Set it when the files of the model do not say it.',
  ),
  normalize: inVectors(
    z.boolean().default(true),
    '--normalize',
    'Gives vectors length 1.',
    'Switch it off when the length carries meaning.',
  ),
  maxTokens: inVectors(
    z
      .int()
      .min(1)
      .max(2 ** 32 - 1)
      .nullable()
      .default(null),
    '--max-tokens N',
    "Most tokens of a text; without it, the model's own bound.",
    'Lower it to save time: the beginning of a text often suffices.',
  ),
  prefix: inVectors(
    z.string().default(''),
    '--prefix TEXT',
    'Text before every text.',
    'Set it when the encoder was trained with one, like "query: ".',
  ),
  threads,
}
/** The schema of an embedder's options without the model; the CLI's flags come from it too. */
export const embedderSchema = z.strictObject(options)
const openSchema = z.strictObject({ model: z.string().min(1), ...options })

/** Options of an embedder. */
export type EmbedderOptions = z.input<typeof openSchema>

/** Options of `Embedder.embed`. */
export interface EmbedOptions extends CallOptions {
  /** Texts that are embedded together. */
  batchSize?: number
}

/**
 * Turns texts into vectors.
 *
 * @example
 * ```ts
 * import { Embedder } from 'longweave'
 *
 * await using embedder = await Embedder.open({ model: 'encoder' }) // a directory with model.onnx and tokenizer.json
 * for await (const vector of embedder.embed(['steam engines', 'water mills'])) console.log(vector.length)
 * ```
 */
export class Embedder implements AsyncDisposable {
  readonly #native: NativeEmbedder

  private constructor(native: NativeEmbedder) {
    this.#native = native
  }

  /**
   * Loads an encoder model of the BERT family from the directory `model`, as exported for feature extraction: `model.onnx`, `tokenizer.json`,
   * `config.json`.
   * @throws LongweaveError `ONNXRUNTIME_MISSING`, `ONNXRUNTIME_INCOMPATIBLE`, `DEVICE_UNAVAILABLE`, `MODEL_MISSING`, `MODEL_INVALID`,
   * `MODEL_MISMATCH`, `MODEL_TOKENIZER`
   */
  static async open(given: EmbedderOptions, { signal }: CallOptions = {}): Promise<Embedder> {
    const { normalize, threads: n, ...vectors } = fill(openSchema, given)
    const unused = { source: 'onnx', file: null, dimensions: 1, sample: 1 }
    const core = JSON.stringify({ vectors: { ...unused, ...vectors }, normalize, threads: n })
    return new Embedder(
      await abandonable(
        signal,
        (c) => binding.NativeEmbedder.open(core, c),
        (late) => late.close(),
      ),
    )
  }

  /** Numbers of a vector. */
  get dimensions(): number {
    return this.#native.dimensions
  }

  /** The execution provider in use: `cpu`, `cuda:0`. */
  get device(): string {
    return this.#native.device
  }

  /**
   * The vector of each text, in order, as texts come: at most two batches are read ahead.
   * @throws LongweaveError `MODEL_NOT_FINITE`, `INFERENCE_FAILED`, `HANDLE_CLOSED`
   */
  async *embed(
    texts: DocumentSource,
    { signal, batchSize = 256 }: EmbedOptions = {},
  ): AsyncGenerator<Float32Array, void, undefined> {
    counting('batchSize', batchSize, 1)
    const cancellation = new binding.Cancellation()
    const work = async (batch: { text: string }[]) => {
      const strings = batch.map(({ text }) => text)
      return await cancellable(signal, (c) => this.#native.embed(strings, c), cancellation)
    }
    try {
      for await (const vectors of ahead(batched(texts, batchSize), work, signal)) {
        for (let at = 0; at < vectors.length; at += this.dimensions) yield vectors.slice(at, at + this.dimensions)
      }
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
