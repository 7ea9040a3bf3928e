// Plans and dry runs: what a run would come to.
import type { NativeRun } from '#binding'
import { binding } from './binding.ts'
import { counting } from './counting.ts'
import type { DryRun } from './dry-run.ts'
import { LongweaveError } from './errors.ts'
import type { KeywordCount, RunEvent, Summary } from './generated/results.ts'
import { Run, readBatch, resolve } from './run.ts'
import type { RunMode, RunOptions } from './run.ts'
import type { Sequence, SequenceBatch } from './sequences.ts'
import { Calls, cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

/** Options of a call that runs stages. */
export interface ObservedOptions extends CallOptions {
  /** Is called with each event. An error that it throws rejects the call and cancels the run. */
  onEvent?: (event: RunEvent) => void
}

/** A run whose result is a handle rather than files: it shares the run's threads. */
class HandleRun extends Run {
  get handle(): NativeRun {
    return this.native
  }
}

/** Runs to the end of `mode`, calling back with events; closes the run when that fails. */
export async function observed(options: RunOptions, mode: RunMode, { signal, onEvent }: ObservedOptions) {
  const run = new HandleRun(options, mode, { signal })
  if (onEvent !== undefined) for await (const event of run) onEvent(event)
  const summary = await run.finished
  if (signal?.aborted === true) {
    // The run may have been too far to stop.
    await run.close()
    throw signal.reason
  }
  return { run: run.handle, summary }
}

/**
 * A plan: sequences that would be written, none of them written yet.
 *
 * @example
 * ```ts
 * import { plan } from 'longweave'
 *
 * await using planned = await plan({
 *   corpus: 'docs.jsonl',
 *   tokenizer: 'tokenizer.json',
 *   length: 2048,
 *   output: { format: 'memory' },
 * })
 * const { pieces } = await planned.get(0)
 * console.log(pieces.map(({ docId, reason }) => `${docId}: ${reason}`))
 * ```
 */
export class Plan implements AsyncIterable<Sequence>, AsyncDisposable {
  /** The summary: `plan`, `shares` and the counts of the corpus. */
  readonly summary: Summary
  /** Number of sequences. */
  readonly length: number
  /** The run's directory, where `prepare` and `weave` with the same options continue; null where none was given. */
  readonly directory: string | null
  readonly #native: NativeRun
  readonly #calls: Calls

  /** @internal */
  constructor(native: NativeRun, summary: Summary) {
    this.summary = summary
    this.length = summary.plan?.sequences ?? 0
    this.directory = summary.directory
    this.#native = native
    this.#calls = new Calls('the plan', () => native.close())
  }

  /**
   * A sequence as it would be written.
   * @throws LongweaveError `SEQUENCE_NOT_FOUND`, `HANDLE_CLOSED`
   */
  async get(index: number, { signal }: CallOptions = {}): Promise<Sequence> {
    counting('index', index)
    const batch = await this.#calls.use(() => readBatch(this.#native, index, 1, { signal }))
    if (batch === null) {
      const message = `the plan has ${this.length} sequences, numbered from 0; there is no sequence ${index}`
      throw new LongweaveError('SEQUENCE_NOT_FOUND', message, { sequence: index })
    }
    return batch.get(0)
  }

  /** Batches of about a million tokens from sequence `start` on. */
  async *batches({ start = 0, signal }: CallOptions & { start?: number } = {}): AsyncGenerator<
    SequenceBatch,
    void,
    undefined
  > {
    counting('start', start)
    for (let first = start; ;) {
      const batch = await this.#calls.use(() => readBatch(this.#native, first, 0, { signal }))
      if (batch === null) return
      yield batch
      first += batch.length
    }
  }

  /** Sequences one by one; as `batches`. */
  async *sequences(options: CallOptions & { start?: number } = {}): AsyncGenerator<Sequence, void, undefined> {
    for await (const batch of this.batches(options)) yield* batch
  }

  [Symbol.asyncIterator](): AsyncGenerator<Sequence, void, undefined> {
    return this.sequences()
  }

  /**
   * The keywords with most documents.
   * @throws LongweaveError `NOT_KEYWORDED` for a method without keywords, `HANDLE_CLOSED`
   */
  async topKeywords({ limit = 50, signal }: CallOptions & { limit?: number } = {}): Promise<KeywordCount[]> {
    counting('limit', limit)
    const text = await this.#calls.use(() => cancellable(signal, (c) => this.#native.topKeywords(limit, c)))
    return JSON.parse(text) as KeywordCount[]
  }

  /** Releases the plan; without a directory, its files are removed. */
  async close(): Promise<void> {
    await this.#calls.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/**
 * Runs up to the plan, without copying tokens. `weave` with the same options and output directory continues from there.
 * @throws LongweaveError as a run
 *
 * @example
 * ```ts
 * import { plan } from 'longweave'
 *
 * await using planned = await plan(
 *   { corpus: 'docs.jsonl', idField: 'id', tokenizer: 'tokenizer.json', length: 2048, output: { directory: 'planned' } },
 *   { onEvent: (event) => event.type === 'stage' && console.log(event.stage, event.state) },
 * )
 * console.log(planned.length, 'sequences', await planned.topKeywords({ limit: 3 }))
 * ```
 */
export async function plan(options: RunOptions, callOptions: ObservedOptions = {}): Promise<Plan> {
  const { run, summary } = await observed(options, 'plan', callOptions)
  return new Plan(run, summary)
}

/**
 * Says what `weave` would do with these options, without writing anything: stages, tasks, reused results, bytes and free space. Documents
 * that are handed over are not read; what depends on them is listed as unknown.
 * @throws LongweaveError as `weave` before its first stage; too little free space is `disk.fits: false`, not an error
 *
 * @example
 * ```ts
 * import { dryRun } from 'longweave'
 *
 * const { stages } = await dryRun({
 *   corpus: 'docs.jsonl',
 *   tokenizer: 'tokenizer.json',
 *   length: 2048,
 *   output: { directory: 'later' },
 * })
 * for (const { stage, tasks, done } of stages) console.log(stage, tasks, done)
 * ```
 */
export async function dryRun(options: RunOptions, { signal }: CallOptions = {}): Promise<DryRun> {
  const { resolved } = resolve(options)
  const text = await cancellable(signal, (c) => binding.dryRun(JSON.stringify(resolved), c))
  return { options: resolved, ...(JSON.parse(text) as Omit<DryRun, 'options'>) }
}
