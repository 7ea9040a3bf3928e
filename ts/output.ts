// Finished outputs: a directory, or the URL that it was uploaded to.
import type { NativeOutput } from '#binding'
import { binding } from './binding.ts'
import { counting } from './counting.ts'
import { LongweaveError } from './errors.ts'
import type { Manifest, ShownSequence, VerifyReport } from './generated/results.ts'
import { SequenceBatch } from './sequences.ts'
import type { Sequence } from './sequences.ts'
import { Calls, cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

/** Options of `Output.show`. */
export interface ShowOptions extends CallOptions {
  /** Add the draw, pass and rule behind each piece. Needs the run's work directory. */
  why?: boolean
  /** Tokens of each piece to decode. */
  words?: number
  /** A tokenizer.json, for an output that was moved away from its run. */
  tokenizer?: string
}

/** Which sequences to read. */
export interface ReadSequencesOptions extends CallOptions {
  /** The first. */
  start?: number
  /** The first that is left out; else the output's end. */
  end?: number
  /** Sequences of a batch, at most; batches of long sequences are smaller. */
  batchSize?: number
}

/**
 * An opened output.
 *
 * @example
 * ```ts
 * import { openOutput } from 'longweave'
 *
 * await using output = await openOutput('out')
 * for await (const { index, tokenCount } of output.sequences({ end: 3 })) console.log(index, tokenCount)
 * for await (const batch of output.batches({ batchSize: 2, end: 4 })) console.log(batch.inputIds.length, 'ids')
 * const { why, pieces } = await output.show(0, { why: true, words: 8 })
 * console.log(why?.text, pieces[0]?.text, await output.verify())
 * ```
 */
export class Output implements AsyncIterable<Sequence>, AsyncDisposable {
  /** The directory or URL. */
  readonly location: string
  /** `longweave.json`. */
  readonly manifest: Manifest
  /** Number of sequences. */
  readonly length: number
  /** Tokens of a sequence. */
  readonly sequenceLength: number
  readonly #native: NativeOutput
  readonly #calls: Calls

  /** @internal */
  constructor(native: NativeOutput, location: string) {
    this.location = location
    this.manifest = JSON.parse(native.manifest) as Manifest
    this.length = native.sequences
    this.sequenceLength = this.manifest.length
    this.#native = native
    this.#calls = new Calls(`the output ${location}`, () => native.close())
  }

  /**
   * A sequence by its number.
   * @throws LongweaveError `SEQUENCE_NOT_FOUND`, `HANDLE_CLOSED`, `FILE_CORRUPT`
   */
  async get(index: number, { signal }: CallOptions = {}): Promise<Sequence> {
    counting('index', index)
    const batch = await this.#read(index, 1, signal)
    if (batch === null) {
      const message = `${this.location} has ${this.length} sequences, numbered from 0; there is no sequence ${index}`
      throw new LongweaveError('SEQUENCE_NOT_FOUND', message, { sequence: index })
    }
    return batch.get(0)
  }

  async #read(first: number, most: number, signal: AbortSignal | undefined): Promise<SequenceBatch | null> {
    const batch = await this.#calls.use(() => cancellable(signal, (c) => this.#native.read(first, most, c)))
    return batch === null ? null : new SequenceBatch(batch, first)
  }

  /** Batches of sequences in order. */
  async *batches({ start = 0, end = this.length, batchSize = 64, signal }: ReadSequencesOptions = {}): AsyncGenerator<
    SequenceBatch,
    void,
    undefined
  > {
    counting('start', start)
    counting('end', end)
    counting('batchSize', batchSize, 1)
    const last = Math.min(end, this.length)
    for (let first = start; first < last;) {
      const batch = await this.#read(first, Math.min(batchSize, last - first), signal)
      if (batch === null) return
      yield batch
      first += batch.length
    }
  }

  /** Sequences one by one; as `batches`. */
  async *sequences(options: ReadSequencesOptions = {}): AsyncGenerator<Sequence, void, undefined> {
    for await (const batch of this.batches(options)) yield* batch
  }

  [Symbol.asyncIterator](): AsyncGenerator<Sequence, void, undefined> {
    return this.sequences()
  }

  /**
   * Checks the output: each file against its checksum, each sequence for its length, its pieces for gaps.
   * @throws LongweaveError `VERIFY_FAILED`, naming the file and the difference
   */
  async verify(options: CallOptions = {}): Promise<VerifyReport> {
    return await this.#calls.use(() => verify(this.location, options))
  }

  /**
   * A sequence with the ids, reasons and first words of its documents.
   * @throws LongweaveError `SEQUENCE_NOT_FOUND`, `RUN_NOT_PREPARED` for `why` without the run
   */
  async show(index: number, { why = false, words = 24, tokenizer, signal }: ShowOptions = {}): Promise<ShownSequence> {
    counting('index', index)
    counting('words', words)
    const options = JSON.stringify({ why, words, ...(tokenizer !== undefined && { tokenizer }) })
    const text = await this.#calls.use(() => cancellable(signal, (c) => this.#native.show(index, options, c)))
    return JSON.parse(text) as ShownSequence
  }

  /** Releases files and connections, once calls that are under way have ended. */
  async close(): Promise<void> {
    await this.#calls.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/**
 * Opens a finished output: a directory, a URL, or the directory of a run that uploaded its output.
 * @throws LongweaveError `OUTPUT_NOT_FOUND`, `FILE_CORRUPT`, `VERSION_MISMATCH`, and those of remote stores
 *
 * @example
 * ```ts
 * import { openOutput } from 'longweave'
 *
 * await using output = await openOutput('out')
 * console.log(output.length, 'sequences of', output.sequenceLength, 'tokens, written as', output.manifest.format)
 * const { inputIds, pieces } = await output.get(0)
 * console.log(inputIds.length, pieces[0]?.docId, pieces[0]?.reason)
 * ```
 */
export async function openOutput(location: string, { signal }: CallOptions = {}): Promise<Output> {
  return new Output(await cancellable(signal, (c) => binding.NativeOutput.open(location, c)), location)
}

/**
 * The sequences of a finished output in order: opens it, reads it, closes it.
 * @throws LongweaveError as `openOutput`
 *
 * @example
 * ```ts
 * import { readSequences } from 'longweave'
 *
 * for await (const { index, inputIds, pieces } of readSequences('out', { end: 2 }))
 *   console.log(index, inputIds.length, 'tokens from', pieces.length, 'documents')
 * ```
 */
export async function* readSequences(
  location: string,
  options: ReadSequencesOptions = {},
): AsyncGenerator<Sequence, void, undefined> {
  const output = await openOutput(location, { signal: options.signal })
  try {
    yield* output.sequences(options)
  } finally {
    await output.close()
  }
}

/**
 * A sequence of a finished output as a person reads it, see `Output.show`.
 * @throws LongweaveError as `openOutput` and `Output.show`
 *
 * @example
 * ```ts
 * import { show } from 'longweave'
 *
 * const { pieces, why } = await show('out', 0, { why: true, words: 8 })
 * for (const { docId, reason, text } of pieces) console.log(docId, reason, text)
 * console.log(why?.text)
 * ```
 */
export async function show(location: string, index: number, options: ShowOptions = {}): Promise<ShownSequence> {
  await using output = await openOutput(location, { signal: options.signal })
  return await output.show(index, options)
}

/**
 * Checks a finished output, see `Output.verify`; also one that is too damaged to be opened.
 * @throws LongweaveError `OUTPUT_NOT_FOUND`, `VERIFY_FAILED`, `FILE_CORRUPT`
 *
 * @example
 * ```ts
 * import { LongweaveError, verify } from 'longweave'
 *
 * try {
 *   console.log(await verify('out'))
 * } catch (error) {
 *   if (error instanceof LongweaveError && error.code === 'VERIFY_FAILED') console.error(error.message)
 *   else throw error
 * }
 * ```
 */
export async function verify(location: string, { signal }: CallOptions = {}): Promise<VerifyReport> {
  return JSON.parse(await cancellable(signal, (c) => binding.verify(location, c))) as VerifyReport
}
