// Text embedding on ONNX Runtime.
import type { EmbeddingModel } from '#binding'
import { z } from 'zod'
import { binding } from './binding.ts'
import { ahead, batched } from './documents.ts'
import type { DocumentSource } from './documents.ts'
import { settled } from './errors.ts'
import { fill } from './options.ts'
import { batchSizeOf, cancellable } from './predictor.ts'
import { about, modelRun, threads } from './schema.ts'

/** The schema of an embedder's options; the CLI's flags come from it too. */
export const embedderSchema = z.strictObject({
  ...modelRun(''),
  pooling: z
    .enum(['auto', 'mean', 'cls'])
    .default('auto')
    .meta(
      about(
        'vectors',
        '--pooling RULE',
        "How the vectors of a text's tokens become one; auto as the model's files say, else the mean.",
        'Set it when the files of the model do not say it.',
      ),
    ),
  normalize: z
    .boolean()
    .default(true)
    .meta(about('vectors', '--normalize', 'Gives vectors length 1.', 'Switch it off when the length carries meaning.')),
  maxTokens: z
    .int()
    .min(1)
    .max(2 ** 32 - 1)
    .nullable()
    .default(null)
    .meta(
      about(
        'vectors',
        '--max-tokens N',
        "Most tokens of a text; without it, the model's own bound.",
        'Lower it to save time: the beginning of a text often suffices.',
      ),
    ),
  prefix: z
    .string()
    .default('')
    .meta(
      about(
        'vectors',
        '--prefix TEXT',
        'Text before every text.',
        'Set it when the encoder was trained with one, like "query: ".',
      ),
    ),
  threads,
})

/** Options of an embedder. */
export type EmbedderOptions = z.input<typeof embedderSchema>

/** Options of a call of `embed`. */
export interface EmbedOptions {
  /** Ends the call with the error CANCELLED. */
  signal?: AbortSignal
  /** Texts that are embedded together. */
  batchSize?: number
}

/** Turns texts into vectors. */
export class Embedder {
  readonly #native: EmbeddingModel

  private constructor(native: EmbeddingModel) {
    this.#native = native
  }

  /**
   * Loads an encoder model of the BERT family, as exported for feature extraction: `model.onnx`, `tokenizer.json`, `config.json`.
   * @throws LongweaveError `ONNXRUNTIME_MISSING`, `ONNXRUNTIME_INCOMPATIBLE`, `DEVICE_UNAVAILABLE`, `MODEL_MISSING`, `MODEL_INVALID`, `MODEL_MISMATCH`, `MODEL_TOKENIZER`
   */
  static async load(directory: string, options: EmbedderOptions = {}): Promise<Embedder> {
    const resolved = fill(embedderSchema, options)
    return new Embedder(await settled(binding.EmbeddingModel.load(JSON.stringify({ model: directory, ...resolved }))))
  }

  /** Numbers of a vector. */
  get dimensions(): number {
    return this.#native.dimensions
  }

  /** The execution provider that is really used: `cpu`, `cuda:0`. */
  get device(): string {
    return this.#native.device
  }

  /**
   * The vector of each text, in order, as texts come: at most two batches are read ahead of what is asked for.
   * @throws LongweaveError `CANCELLED`, `MODEL_NOT_FINITE`, `INFERENCE_FAILED`
   */
  async *embed(
    texts: DocumentSource,
    { signal, batchSize = 256 }: EmbedOptions = {},
  ): AsyncGenerator<Float32Array, void, undefined> {
    const cancellation = new binding.Cancellation()
    const work = (batch: { text: string }[]) =>
      cancellable(
        this.#native.embed(
          batch.map(({ text }) => text),
          cancellation,
        ),
        signal,
        () => cancellation.cancel(),
      )
    try {
      for await (const vectors of ahead(batched(texts, batchSizeOf(batchSize)), work)) {
        for (let at = 0; at < vectors.length; at += this.dimensions) yield vectors.slice(at, at + this.dimensions)
      }
    } finally {
      cancellation.cancel()
    }
  }
}
