// weave(): a run as an async iterable of events.
import type { Run as NativeRun } from '#binding'
import { binding } from './binding.ts'
import { modelDirectory } from './bundled.ts'
import { LongweaveError, call, settled } from './errors.ts'
import type { DryRun } from './dry-run.ts'
import type { RunEvent, Summary } from './events.ts'
import { resolveOptions } from './options.ts'
import type { Options, Preset, ResolvedOptions } from './schema.ts'
import { toBatch, unbatch } from './sequences.ts'
import type { Sequence, SequenceBatch } from './sequences.ts'

/** A document that is handed over instead of read from a file. */
export interface CorpusDocument {
  /** Its id; its number in the stream where it has none. */
  id?: string
  /** Its text. */
  text: string
  /** Its source. */
  source?: string
  /** Queries made before, for `queries.predictor: "precomputed"`. */
  queries?: string[]
}

/** A corpus: paths, directories and globs, or documents one by one. */
export type Corpus = string | string[] | AsyncIterable<CorpusDocument> | Iterable<CorpusDocument>

/** Options of `weave` and `plan`. */
export type WeaveOptions = Omit<Options, 'corpus'> & {
  corpus: Corpus
  /** Another set of defaults: `paper` keeps to the Quest paper wherever it speaks. */
  preset?: Preset
}

/** Documents are handed over in batches of about this many characters. */
const PUSH_CHARACTERS = 1 << 20

const isStream = (corpus: Corpus): corpus is AsyncIterable<CorpusDocument> | Iterable<CorpusDocument> =>
  typeof corpus === 'object' && !(Array.isArray(corpus) && corpus.every((path) => typeof path === 'string'))

/** Options with every choice made, and the documents that are to be handed over. */
function resolve({ corpus, ...rest }: WeaveOptions): {
  resolved: ResolvedOptions
  stream: AsyncIterable<CorpusDocument> | Iterable<CorpusDocument> | undefined
} {
  const stream = isStream(corpus) ? corpus : undefined
  const resolved = resolveOptions({ ...rest, corpus: stream === undefined ? (corpus as string | string[]) : null })
  if (resolved.queries.model !== null) resolved.queries.model = modelDirectory(resolved.queries.model)
  return { resolved, stream }
}

/** A run. Iterate over it for events, await `finished` for the summary. */
export class Weave implements AsyncIterable<RunEvent>, AsyncDisposable {
  /** The summary; rejects with the run's error. */
  readonly finished: Promise<Summary>
  readonly #native: NativeRun
  readonly #release: () => void

  /** @internal */
  constructor(options: WeaveOptions, mode: 'run' | 'prepare' | 'plan', signal?: AbortSignal) {
    signal?.throwIfAborted()
    const { resolved, stream } = resolve(options)
    const native = call(() => binding.Run.start(JSON.stringify(resolved), mode))
    this.#native = native
    const abort = () => native.cancel()
    signal?.addEventListener('abort', abort, { once: true })
    this.#release = () => signal?.removeEventListener('abort', abort)
    let fed: Promise<unknown> = Promise.resolve()
    let failure: { error: unknown } | undefined
    if (stream !== undefined) {
      fed = feed(native, stream).catch((error: unknown) => {
        failure = { error }
        native.cancel()
      })
    }
    this.finished = settled(native.finished())
      .then((text) => JSON.parse(text) as Summary)
      .catch(async (error: unknown) => {
        // What the corpus threw, or why the caller aborted, says more than that the run was cancelled.
        if (error instanceof LongweaveError && error.code === 'CANCELLED') {
          await Promise.race([fed, new Promise((done) => setImmediate(done))])
          if (failure !== undefined && !(failure.error instanceof LongweaveError && failure.error.code === 'CANCELLED'))
            throw failure.error
          if (signal?.aborted === true)
            throw new LongweaveError(error.code, error.message, error.details, { cause: signal.reason })
        }
        throw error
      })
      .finally(() => this.#release())
    // Whoever iterates meets the error there; an unread `finished` must not end the process.
    this.finished.catch(() => {})
  }

  /** Asks the run to stop; `finished` rejects with `CANCELLED`. What is finished is kept, and the run can be resumed. */
  cancel(): void {
    this.#native.cancel()
  }

  /** Events until the run ends; throws the run's error. Leaving the loop early cancels the run. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, undefined> {
    let ended = false
    try {
      for (;;) {
        const text = await settled(this.#native.nextEvent())
        if (text === null) break
        yield JSON.parse(text) as RunEvent
      }
      ended = true
      await this.finished
    } finally {
      if (!ended) await this[Symbol.asyncDispose]()
    }
  }

  /** Batches of sequences (`output.format: "memory"`), made as they are asked for; throws the run's error. Leaving early cancels. */
  async *batches(): AsyncGenerator<SequenceBatch, void, undefined> {
    let ended = false
    try {
      for (;;) {
        const batch = await settled(this.#native.next())
        if (batch === null) break
        yield toBatch(batch)
      }
      ended = true
      await this.finished
    } finally {
      if (!ended) await this[Symbol.asyncDispose]()
    }
  }

  /** Sequences one by one (`output.format: "memory"`). */
  async *sequences(): AsyncGenerator<Sequence, void, undefined> {
    let first = 0
    for await (const batch of this.batches()) {
      yield* unbatch(batch, first)
      first += batch.sequences
    }
  }

  /** Cancels the run and waits until its threads have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await settled(this.#native.close())
    this.#release()
  }
}

async function feed(
  native: NativeRun,
  corpus: AsyncIterable<CorpusDocument> | Iterable<CorpusDocument>,
): Promise<void> {
  let batch: CorpusDocument[] = []
  let characters = 0
  let number = 0
  const push = async () => {
    if (batch.length > 0) await settled(native.push(JSON.stringify(batch)))
    batch = []
    characters = 0
  }
  for await (const document of corpus) {
    if (typeof document !== 'object' || document === null || typeof document.text !== 'string') {
      throw new LongweaveError('BAD_ROW', `document ${number} of the corpus must be an object with a string \`text\``, {
        row: number,
      })
    }
    const { id, text, source, queries } = document
    batch.push({
      ...(id !== undefined && { id }),
      text,
      ...(source !== undefined && { source }),
      ...(queries !== undefined && { queries }),
    })
    characters += text.length
    number += 1
    if (characters >= PUSH_CHARACTERS) await push()
  }
  await push()
  await settled(native.endInput())
}

/** Options of the call rather than of the run. */
export interface CallOptions {
  /** Cancels the run when it aborts. */
  signal?: AbortSignal
}

/**
 * Weaves long-context sequences from a corpus. Running it again with the same options resumes or reuses what is there.
 * @throws LongweaveError `OPTIONS_INVALID` at once; everything else through `finished` and the iteration.
 */
export function weave(options: WeaveOptions, { signal }: CallOptions = {}): Weave {
  return new Weave(options, 'run', signal)
}

/** Plans without packing: the same run up to the plan; the summary says what would come out. */
export function plan(options: WeaveOptions, { signal }: CallOptions = {}): Weave {
  return new Weave(options, 'plan', signal)
}

/**
 * Says what `weave` would do with these options, without writing anything: stages, tasks, what is reused, bytes, time and room. Documents that
 * are handed over are not asked for; what follows from them is said to be unknown.
 * @throws LongweaveError as `weave` would before it begins; for want of room nothing is thrown, `disk.fits` tells.
 */
export async function dryRun(options: WeaveOptions): Promise<DryRun> {
  const { resolved } = resolve(options)
  const told = JSON.parse(await settled(binding.dryRun(JSON.stringify(resolved)))) as Omit<DryRun, 'options'>
  return { options: resolved, ...told }
}

/** Only prepares: writes run.json, so that `stage` can run tasks from other processes. */
export function prepare(options: WeaveOptions, { signal }: CallOptions = {}): Weave {
  return new Weave(options, 'prepare', signal)
}
