// Runs: weave() over files and in memory.
import type { Cancellation, NativeRun } from '#binding'
import * as z from 'zod'
import { binding } from './binding.ts'
import { feed } from './corpus.ts'
import type { Corpus, DocumentStream } from './corpus.ts'
import { isStream } from './corpus.ts'
import { LongweaveError, call, settled } from './errors.ts'
import type { RunEvent, Summary } from './generated/results.ts'
import { fill, resolveOptions } from './options.ts'
import { RayRun, submitToRay } from './ray.ts'
import type { SubmittedJob } from './ray.ts'
import type { RunDriver } from './run-driver.ts'
import { engineSchema } from './schema.ts'
import type { EngineOptions, Options, Preset, ResolvedEngine, ResolvedOptions } from './schema.ts'
import { SequenceBatch } from './sequences.ts'
import type { Sequence } from './sequences.ts'
import { cancellable, reasonOf } from './signal.ts'
import type { CallOptions } from './signal.ts'

/** Options of a run. */
export type RunOptions = Omit<Options, 'corpus'> & {
  /** Paths, directories, globs and URLs, or documents one by one. */
  corpus: Corpus
  /** Another set of defaults: `paper` follows the Quest paper wherever the paper states a choice. */
  preset?: Preset
  /** Who runs the tasks of a run to files; without it, this process. */
  engine?: EngineOptions
}

/** Options of a run whose sequences are returned instead of written. */
export type MemoryRunOptions = RunOptions & { output: { format: 'memory' } }

/** How far a run goes. */
export type RunMode = 'run' | 'prepare' | 'plan'

/** Options with every choice made, and the documents to hand over. */
export function resolve({ corpus, engine, ...rest }: RunOptions): {
  resolved: ResolvedOptions
  stream: DocumentStream | undefined
  engine: ResolvedEngine | undefined
} {
  const stream = isStream(corpus) ? corpus : undefined
  const resolved = resolveOptions({ ...rest, corpus: stream === undefined ? (corpus as string | string[]) : null })
  return { resolved, stream, engine: fill(z.object({ engine: engineSchema.optional() }), { engine }).engine }
}

const refuse = (message: string) => new LongweaveError('OPTIONS_INVALID', message, { option: 'engine' })

/** Fails where these options cannot be run on an engine. */
function refuseEngine(options: RunOptions, mode: RunMode, resolved: ResolvedOptions): void {
  if (isStream(options.corpus)) throw refuse('`engine` needs a corpus of files, which other machines can read')
  if (resolved.output.format === 'memory') throw refuse('`engine` writes files: `output.format` cannot be "memory"')
  if (mode !== 'run') throw refuse('`engine` runs whole runs; leave it out to plan on this machine')
}

/** Who drives the run, or the error that kept it from starting. */
type Started = { driver: RunDriver; native: NativeRun | null } | { driver: null; error: unknown }

function start(
  options: RunOptions,
  mode: RunMode,
  signal: AbortSignal | undefined,
): Started & { stream?: DocumentStream | undefined } {
  try {
    signal?.throwIfAborted()
    const { resolved, stream, engine } = resolve(options)
    // To prepare is to leave the tasks to others.
    if (engine !== undefined && mode !== 'prepare') {
      refuseEngine(options, mode, resolved)
      return { driver: new RayRun(engine, resolved, options as Partial<Options>), native: null }
    }
    const native = call(() => binding.NativeRun.start(JSON.stringify(resolved), mode))
    return { driver: native, native, stream }
  } catch (error) {
    return { driver: null, error }
  }
}

/**
 * A run. Await `finished` for the summary; iterate over the run for its events.
 *
 * @example
 * ```ts
 * import { weave } from 'longweave'
 *
 * const controller = new AbortController()
 * const options = { corpus: 'docs.jsonl', tokenizer: 'tokenizer.json', length: 2048, output: { directory: 'stopped' } }
 * const run = weave(options, { signal: controller.signal })
 * for await (const event of run) if (event.type === 'stage' && event.stage === 'plan') break // closes the run
 * await run.finished.catch(({ message }) => console.log(message)) // the same call resumes it
 * ```
 */
export class Run implements AsyncIterable<RunEvent>, AsyncDisposable {
  /**
   * The summary. Resolves when the output is sealed; of a run in memory when its sequences are planned. Rejects with the run's error, or with
   * the reason of the signal that cancelled it.
   */
  readonly finished: Promise<Summary>
  readonly #started: Started
  readonly #signal: AbortSignal | undefined

  /** @internal */
  constructor(options: RunOptions, mode: RunMode, { signal }: CallOptions = {}) {
    const started = start(options, mode, signal)
    this.#started = started
    this.#signal = signal
    this.finished = started.driver === null ? Promise.reject(started.error) : this.#finish(started)
    // An error that nobody awaits here is met by the iteration, or by nobody: it must not end the process.
    this.finished.catch(() => {})
  }

  async #finish({
    driver,
    native,
    stream,
  }: Extract<ReturnType<typeof start>, { driver: RunDriver }>): Promise<Summary> {
    const abort = () => driver.cancel()
    this.#signal?.addEventListener('abort', abort, { once: true })
    const ended = settled(driver.result())
    const fed = stream === undefined || native === null ? undefined : feed(native, stream, ended)
    try {
      return JSON.parse(await ended) as Summary
    } catch (error) {
      // Why the corpus could not be read, or why the caller aborted, says more than that the run was cancelled.
      const failure = await fed
      if (failure !== undefined) throw failure.error
      throw reasonOf(error, this.#signal)
    } finally {
      this.#signal?.removeEventListener('abort', abort)
    }
  }

  get #driver(): RunDriver {
    if (this.#started.driver === null) throw this.#started.error
    return this.#started.driver
  }

  /** The native run of a run without engine, or the error that kept it from starting. */
  protected get native(): NativeRun {
    if (this.#started.driver === null) throw this.#started.error
    if (this.#started.native === null) throw new LongweaveError('INTERNAL', 'the run is driven by its engine')
    return this.#started.native
  }

  /** Cancels the run: `finished` rejects with `CANCELLED`. Finished tasks are kept, and the same call resumes the run. */
  cancel(): void {
    this.#started.driver?.cancel()
  }

  /** Cancels the run if it has not ended, and resolves when its threads have ended and its temporary files are removed. */
  async close(): Promise<void> {
    if (this.#started.driver !== null) await settled(this.#started.driver.close())
  }

  /** The run's events until it ends; throws the run's error. Leaving the loop early closes the run. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, undefined> {
    let ended = false
    try {
      for (;;) {
        const text = await settled(this.#driver.nextEvent())
        if (text === null) break
        yield JSON.parse(text) as RunEvent
      }
      ended = true
      await this.finished
    } finally {
      if (!ended) await this.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/**
 * A run in memory: its sequences are assembled as they are asked for.
 *
 * @example
 * ```ts
 * import { weave } from 'longweave'
 *
 * async function* documents() {
 *   for (let i = 0; i < 200; i += 1) yield { id: `note-${i}`, text: `Note ${i}: seed trays and garden soil are in the tool shed.` }
 * }
 *
 * await using run = weave({
 *   corpus: documents(),
 *   tokenizer: 'tokenizer.json',
 *   length: 512,
 *   output: { format: 'memory' },
 * })
 * for await (const batch of run.batches()) console.log(batch.length, 'sequences', batch.inputIds.byteLength, 'bytes')
 * ```
 */
export class MemoryRun extends Run {
  readonly #call: CallOptions
  readonly #reading = new binding.Cancellation()
  #readers = 0

  /** @internal */
  constructor(options: RunOptions, mode: RunMode, callOptions: CallOptions = {}) {
    super(options, mode, callOptions)
    this.#call = callOptions
  }

  /** Cancels the run, and the reading of its sequences once it is planned. */
  override cancel(): void {
    super.cancel()
    this.#reading.cancel()
  }

  /** Batches of about a million tokens; throws the run's error. The run is closed when its last loop ends or is left. */
  async *batches(): AsyncGenerator<SequenceBatch, void, undefined> {
    this.#readers += 1
    try {
      await this.finished
      for (let first = 0; ;) {
        const batch = await readBatch(this.native, first, 0, this.#call, this.#reading)
        if (batch === null) break
        yield batch
        first += batch.length
      }
    } finally {
      this.#readers -= 1
      if (this.#readers === 0) await this.close()
    }
  }

  /** Sequences one by one; as `batches`. */
  async *sequences(): AsyncGenerator<Sequence, void, undefined> {
    for await (const batch of this.batches()) yield* batch
  }
}

/** Sequences from `first` on, at most `most` or, for 0, about a million tokens; null behind the last. */
export async function readBatch(
  native: NativeRun,
  first: number,
  most: number,
  { signal }: CallOptions,
  reading?: Cancellation,
): Promise<SequenceBatch | null> {
  const batch = await cancellable(signal, (cancellation) => native.read(first, most, cancellation), reading)
  return batch === null ? null : new SequenceBatch(batch, first)
}

/**
 * Weaves long-context sequences from a corpus. The same call again resumes a run that was interrupted, and reuses the results of one that
 * ended. Never throws: a wrong option, like every other error, rejects `finished` and ends the iteration.
 *
 * @example
 * ```ts
 * import { weave } from 'longweave'
 *
 * const run = weave({
 *   corpus: 'docs.jsonl',
 *   idField: 'id',
 *   tokenizer: 'tokenizer.json',
 *   length: 2048,
 *   output: { directory: 'woven' },
 * })
 * for await (const event of run) if (event.type === 'stage' && event.state === 'done') console.log(event.stage)
 * console.log((await run.finished).plan?.sequences, 'sequences')
 * ```
 */
export function weave(options: MemoryRunOptions, callOptions?: CallOptions): MemoryRun
export function weave(options: RunOptions, callOptions?: CallOptions): Run
export function weave(options: RunOptions, callOptions?: CallOptions): Run {
  const inMemory = options?.output?.format === 'memory'
  return inMemory ? new MemoryRun(options, 'run', callOptions) : new Run(options, 'run', callOptions)
}

/**
 * Submits a run to the cluster of its `engine` and leaves it there. `status` shows its state; `weave` with the same options follows the job
 * while it works, and resumes the run afterwards.
 * @throws LongweaveError `ENGINE_UNREACHABLE`, `ENGINE_DENIED`, `ENGINE_FAILED`, `OPTIONS_INVALID`
 *
 * @example
 * ```ts
 * import { submit } from 'longweave'
 *
 * const options = { corpus: 'docs.jsonl', tokenizer: 'tokenizer.json', length: 2048, output: { directory: 'far' } }
 * const engine = { name: 'ray', url: 'http://127.0.0.1:1' } as const // where nothing listens
 * await submit({ ...options, engine }).catch(({ code }) => console.log(code))
 * ```
 */
export async function submit(
  options: RunOptions & { engine: EngineOptions },
  { onWarning = () => {} }: { onWarning?: (message: string) => void } = {},
): Promise<SubmittedJob> {
  const { resolved, engine } = resolve(options)
  if (engine === undefined)
    throw new LongweaveError('OPTIONS_INVALID', '`engine` must be given to submit a run', { option: 'engine' })
  refuseEngine(options, 'run', resolved)
  return await submitToRay(engine, resolved, options as Partial<Options>, onWarning)
}
