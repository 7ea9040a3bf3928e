// Prepared runs: their stages and tasks, for engines that hand tasks out.
import { binding } from './binding.ts'
import { counting } from './counting.ts'
import type { KeywordCount, RunStatus, StageInfo, TaskRange, TaskRecord } from './generated/results.ts'
import type { Stage } from './generated/stages.ts'
import { cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'
import { status } from './status.ts'

export type { TaskRange } from './generated/results.ts'

/** Tasks of a stage: all, one, several, a range without its end, or every n-th from the k-th on. */
export type TaskSelection = 'all' | number | readonly number[] | TaskRange | { shard: readonly [k: number, n: number] }

/** Options of `runTasks`. */
export interface RunTasksOptions extends CallOptions {
  stage: Stage
  tasks: TaskSelection
  /** Threads; 0 for one per core. */
  threads?: number
  /** Bytes of heap. */
  memory?: number
  /** A directory on a disk of this machine for temporary files; without it they are in the work directory. */
  scratch?: string
}

/**
 * A prepared run: a directory with `run.json`. Its stages are divided into tasks that any process can run.
 *
 * @example
 * ```ts
 * import { prepare } from 'longweave'
 *
 * const run = await prepare({
 *   corpus: 'docs.jsonl',
 *   idField: 'id',
 *   tokenizer: 'tokenizer.json',
 *   length: 2048,
 *   output: { directory: 'by-hand' },
 * })
 * for (const { stage } of await run.tasks()) await run.runTasks({ stage, tasks: 'all' })
 * console.log(await run.topKeywords({ limit: 3 }), (await run.status()).state)
 * ```
 */
export class PreparedRun {
  /** The run's output directory. */
  readonly directory: string

  /** @internal */
  constructor(directory: string) {
    this.directory = directory
  }

  /** The stages in order, with their tasks. */
  async tasks({ signal }: CallOptions = {}): Promise<StageInfo[]> {
    return JSON.parse(await cancellable(signal, (c) => binding.tasks(this.directory, c))) as StageInfo[]
  }

  /**
   * Runs tasks of a stage. A task that is done is passed over, so that the same call can be repeated.
   * @throws LongweaveError `STAGE_NOT_FOUND`, `STAGE_NOT_READY`, `RUN_LOCKED` where another process holds a task, and the errors of the tasks
   */
  async runTasks(options: RunTasksOptions): Promise<TaskRecord[]> {
    const { stage, tasks, threads = 0, memory = 2 ** 31, scratch = null, signal } = options
    const given = JSON.stringify({ stage, tasks, threads, memory, scratch })
    return JSON.parse(await cancellable(signal, (c) => binding.runTasks(this.directory, given, c))) as TaskRecord[]
  }

  /**
   * The keywords with most documents, once the stage `index` is done.
   * @throws LongweaveError `NOT_KEYWORDED` for a method without keywords, `STAGE_NOT_READY`
   */
  async topKeywords({ limit = 50, signal }: CallOptions & { limit?: number } = {}): Promise<KeywordCount[]> {
    counting('limit', limit)
    return JSON.parse(await cancellable(signal, (c) => binding.topKeywords(this.directory, limit, c))) as KeywordCount[]
  }

  /** The state of the run, see `status`. */
  async status(options: CallOptions = {}): Promise<RunStatus> {
    return await status(this.directory, options)
  }
}

/**
 * Opens the run that was prepared in a directory.
 * @throws LongweaveError `RUN_NOT_PREPARED`, `VERSION_MISMATCH`, `FILE_CORRUPT`
 *
 * @example
 * ```ts
 * import { openRun } from 'longweave'
 *
 * const run = await openRun('out')
 * const first = await run.runTasks({ stage: 'scan', tasks: { shard: [0, 4] } }) // tasks that are done run no more
 * console.log(first.map(({ task, counts }) => [task, counts]))
 * ```
 */
export async function openRun(directory: string, { signal }: CallOptions = {}): Promise<PreparedRun> {
  await cancellable(signal, (c) => binding.findRun(directory, c))
  return new PreparedRun(directory)
}
