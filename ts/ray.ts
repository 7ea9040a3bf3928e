// Runs on a Ray cluster: a job is submitted whose driver is the Python package longweave, and its log brings the events.
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve as absolute } from 'node:path'
import { binding } from './binding.ts'
import { LongweaveError, errorCodes, fromSystem } from './errors.ts'
import type { ErrorCode, ErrorDetails } from './errors.ts'
import type { RunEvent, Summary } from './generated/results.ts'
import { isStopList } from './generated/stop-lists.ts'
import { RayJobs, dashboard, hasEnded, isTransient } from './ray-jobs.ts'
import type { JobInfo } from './ray-jobs.ts'
import { findToken } from './ray-token.ts'
import type { RunDriver } from './run-driver.ts'
import type { Options, ResolvedEngine, ResolvedOptions } from './schema.ts'

/** Milliseconds between two looks at a job, and before a connection is tried again. */
const LOOK = 2_000
/** Milliseconds that a cluster may be unreachable while a job runs: a head takes a while to come back. */
const PATIENCE = 300_000
/** Milliseconds that a driver whose head is gone may still hold the run: Ray ends it after a minute. */
const LINGER = 180_000
/** Milliseconds that a job may take to stop. */
const STOP = 30_000

/** A job of a run on a Ray cluster. */
export interface SubmittedJob {
  /** Its id: `ray job stop ID` stops it. */
  job: string
  /** The address of the cluster's dashboard. */
  url: string
  /** The run's output directory, for `status`. */
  directory: string
}

/** A line that the driver writes to the log. */
type LogLine =
  | { type: 'event'; event: RunEvent }
  | { type: 'end'; summary: Summary }
  | { type: 'end'; error: { code: string; message: string; details: object } }
type End = Extract<LogLine, { type: 'end' }>

const isUrl = (path: string) => /^[a-z][a-z0-9+.-]*:\/\//i.test(path)

const rooted = (value: string | null) => (value === null || isUrl(value) ? value : absolute(value))

/** Options with absolute paths, since nodes work elsewhere. `memory` and `threads` of a node follow from the node unless they are given. */
function portable(resolved: ResolvedOptions, given: Partial<Options>): object {
  const { corpus, corpusRoot, tokenizer, queries, keywords, vectors, output, work, memory, threads, ...rest } = resolved
  const { stopWords } = keywords
  return {
    ...rest,
    corpus: (corpus ?? []).map(rooted),
    corpusRoot: rooted(corpusRoot),
    tokenizer: rooted(tokenizer),
    queries: {
      ...queries,
      file: rooted(queries.file),
      model: rooted(queries.model),
    },
    keywords: { ...keywords, stopWords: stopWords === 'auto' || isStopList(stopWords) ? stopWords : rooted(stopWords) },
    vectors: { ...vectors, file: rooted(vectors.file), model: rooted(vectors.model) },
    output: { ...output, directory: rooted(output.directory) },
    work: rooted(work),
    ...(given.memory !== undefined && { memory }),
    ...(given.threads !== undefined && { threads }),
  }
}

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** The files of a run on a cluster, in its output directory, which cluster and client see under one path. */
class Place {
  readonly directory: string
  readonly config: string
  readonly #job: string

  constructor(directory: string) {
    this.directory = absolute(directory)
    this.config = join(this.directory, '.state', 'ray-config.json')
    this.#job = join(this.directory, '.state', 'ray-job.json')
  }

  /** The job that was submitted last, if it was one for this cluster, and the config that it has. */
  last(url: string): { job: string; config: string } | null {
    try {
      const found = JSON.parse(readFileSync(this.#job, 'utf8')) as { job?: unknown; url?: unknown }
      const { job } = found
      if (found.url !== url || typeof job !== 'string' || !/^[\w-]+$/.test(job)) return null
      return { job, config: readFileSync(this.config, 'utf8') }
    } catch {
      return null
    }
  }

  writeConfig(text: string): void {
    this.#write(this.config, text)
  }

  writeJob(job: string, url: string): void {
    this.#write(this.#job, `${JSON.stringify({ job, url })}\n`)
  }

  #write(path: string, text: string): void {
    const part = `${path}.${randomBytes(8).toString('hex')}`
    try {
      mkdirSync(join(this.directory, '.state'), { recursive: true })
      writeFileSync(part, text)
      renameSync(part, path)
    } catch (cause) {
      throw fromSystem(cause, 'write', path)
    }
  }
}

const delay = (milliseconds: number, signal: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true })
  })

const cancelled = () => new LongweaveError('CANCELLED', 'the run was cancelled; the same call resumes it')

/** Connects to the cluster, and submits jobs of one run. */
class Submitter {
  readonly jobs: RayJobs
  readonly place: Place
  readonly warn: (message: string) => void
  readonly #engine: ResolvedEngine
  readonly #config: string
  readonly #open: boolean
  readonly #signal: AbortSignal

  constructor(
    engine: ResolvedEngine,
    resolved: ResolvedOptions,
    given: Partial<Options>,
    warn: (message: string) => void,
    signal: AbortSignal,
  ) {
    const token = findToken()
    this.#engine = engine
    this.#open = token === null
    this.#config = `${JSON.stringify(portable(resolved, given), null, 2)}\n`
    this.jobs = new RayJobs(dashboard(engine.url, engine.insecure), token)
    this.place = new Place(resolved.output.directory ?? '')
    this.warn = warn
    this.#signal = signal
  }

  /** The job of the run: one that works already, else a new one. */
  async begin(): Promise<string> {
    await this.jobs.version()
    if (this.#open)
      this.warn(
        `the Ray cluster at ${this.jobs.url.href} needs no token: all who reach it can run programs there, with your files; start it with RAY_AUTH_MODE=token`,
      )
    const last = this.place.last(this.jobs.url.href)
    const info = last === null ? null : await this.#patiently(() => this.jobs.info(last.job))
    if (last === null || info === null || hasEnded(info)) return await this.submit()
    if (last.config === this.#config) return last.job
    throw new LongweaveError(
      'RUN_LOCKED',
      `job ${last.job} drives a run with other options in ${this.place.directory}; stop it with \`ray job stop ${last.job}\`, or choose another output directory`,
      { file: this.place.directory },
    )
  }

  /** Submits a new job. */
  async submit(): Promise<string> {
    const job = `longweave-${randomBytes(8).toString('hex')}`
    this.place.writeConfig(this.#config)
    // Before the job exists: a submission whose answer is lost is found again.
    this.place.writeJob(job, this.jobs.url.href)
    const { scratch } = this.#engine
    const words = [
      '-m',
      'longweave.ray',
      '--json',
      '--expect',
      binding.version(),
      '--config',
      quoted(this.place.config),
      ...(scratch === null ? [] : ['--scratch', quoted(scratch)]),
    ]
    const submission = { entrypoint: `${quoted(this.#engine.python)} ${words.join(' ')}`, submission_id: job }
    try {
      await this.#patiently(() => this.jobs.submit(submission))
    } catch (error) {
      // The answer to a submission may have been lost.
      if (this.#signal.aborted) await this.jobs.stop(job).catch(() => {})
      throw error
    }
    return job
  }

  /** Makes a request again while it may succeed later: a head that starts refuses connections, and answers with errors. */
  async #patiently<T>(request: () => Promise<T>): Promise<T> {
    const began = performance.now()
    for (let warned = false; ; warned = true) {
      if (this.#signal.aborted) throw cancelled()
      try {
        return await request()
      } catch (error) {
        if (!isTransient(error) || performance.now() - began > PATIENCE) throw error
        if (!warned) this.warn(`a request is made again: ${(error as Error).message}`)
      }
      await delay(LOOK, this.#signal)
    }
  }
}

/** A run on a Ray cluster. */
export class RayRun implements RunDriver {
  readonly #engine: ResolvedEngine
  readonly #result: Promise<string>
  readonly #stop = new AbortController()
  readonly #events: RunEvent[] = []
  #wakes: (() => void)[] = []
  #ended = false
  #began = performance.now()

  constructor(engine: ResolvedEngine, resolved: ResolvedOptions, given: Partial<Options>) {
    this.#engine = engine
    const submitter = new Submitter(engine, resolved, given, (message) => this.#warn(message), this.#stop.signal)
    this.#result = this.#run(submitter).finally(() => {
      this.#ended = true
      this.#wake()
    })
    this.#result.catch(() => {})
  }

  async result(): Promise<string> {
    return await this.#result
  }

  async nextEvent(): Promise<string | null> {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) return JSON.stringify(event)
      if (this.#ended) return null
      await new Promise<void>((wake) => this.#wakes.push(wake))
    }
  }

  cancel(): void {
    this.#stop.abort()
  }

  async close(): Promise<void> {
    this.cancel()
    await this.#result.catch(() => {})
  }

  /** Wakes all who wait for an event. */
  #wake(): void {
    for (const wake of this.#wakes.splice(0)) wake()
  }

  #push(event: RunEvent): void {
    // Progress that nobody has read yet gives way to newer progress.
    const last = this.#events.at(-1)
    if (last?.type === 'progress' && event.type === 'progress' && last.stage === event.stage) this.#events.pop()
    this.#events.push(event)
    this.#wake()
  }

  #warn(message: string): void {
    this.#push({ type: 'warning', message, seconds: (performance.now() - this.#began) / 1000 } as RunEvent)
  }

  async #run(submitter: Submitter): Promise<string> {
    const { signal } = this.#stop
    const { jobs } = submitter
    let job = await submitter.begin()
    for (let restarts = 0, locked = 0; ;) {
      const { end, info, started } = await this.#follow(jobs, job)
      if (end !== undefined && 'summary' in end) return JSON.stringify(end.summary)
      if (signal.aborted) throw cancelled()
      if (info?.status === 'STOPPED')
        throw new LongweaveError('CANCELLED', `job ${job} was stopped on the cluster; the same call resumes the run`)
      if (end !== undefined) {
        // The driver of a head that is gone lives a little longer than the head.
        const lingers = end.error.code === 'RUN_LOCKED' && restarts > 0 && performance.now() - locked < LINGER
        if (!lingers) throw asError(end.error, jobs.url.href)
        await delay(LOOK, signal)
        job = await submitter.submit()
        continue
      }
      const reason = info === null ? 'the cluster does not know it any more' : (info.message ?? info.status)
      if (!started && info !== null && startFailed(info)) throw notStarted(reason, jobs.url.href)
      if (restarts === this.#engine.restarts) {
        const message = `job ${job} was lost (${firstLine(reason)}) and is not submitted again after ${restarts} restarts; the same call resumes the run`
        throw new LongweaveError('ENGINE_FAILED', message, { url: jobs.url.href })
      }
      restarts += 1
      locked = performance.now()
      this.#warn(
        `job ${job} was lost (${firstLine(reason)}); submitting it again, ${restarts} of ${this.#engine.restarts}`,
      )
      await delay(LOOK, signal)
      job = await submitter.submit()
    }
  }

  /** Follows a job until it has ended: its last line, its state (null where the cluster has forgotten it), and whether its driver ever spoke. */
  async #follow(jobs: RayJobs, job: string): Promise<{ end?: End; info: JobInfo | null; started: boolean }> {
    const log = new Log((event) => this.#push(event))
    let contact = performance.now()
    const done = (info: JobInfo | null) => ({
      ...(log.end !== undefined && { end: log.end }),
      info,
      started: log.lines > 0,
    })
    const { signal } = this.#stop
    while (!signal.aborted) {
      const reading = new AbortController()
      const stop = () => reading.abort()
      signal.addEventListener('abort', stop, { once: true })
      // A connection can be dead without an end: the job's state says more.
      const look = async () => {
        if (await works(jobs, job)) contact = performance.now()
        else stop()
      }
      const watch = setInterval(() => void look(), 5 * LOOK)
      try {
        log.again()
        for await (const text of jobs.tail(job, reading.signal)) {
          contact = performance.now()
          log.take(text)
        }
        const info = await jobs.info(job)
        contact = performance.now()
        if (info === null) return done(null)
        if (hasEnded(info)) {
          if (log.end === undefined) {
            log.again()
            log.take(`${await jobs.log(job)}\n`)
          }
          return done(info)
        }
      } catch (error) {
        const forgotten = await jobs.info(job).then(
          (info) => info === null,
          () => false,
        )
        if (forgotten) return done(null)
        if (!isTransient(error) || performance.now() - contact > PATIENCE) throw error
      } finally {
        clearInterval(watch)
        signal.removeEventListener('abort', stop)
      }
      await delay(LOOK / 2, signal)
    }
    return done(await stopped(jobs, job))
  }
}

/** Whether a job works and its cluster answers. */
async function works(jobs: RayJobs, job: string): Promise<boolean> {
  try {
    const info = await jobs.info(job)
    return info !== null && !hasEnded(info)
  } catch {
    return false
  }
}

/** Stops a job, and waits until it has ended. */
async function stopped(jobs: RayJobs, job: string): Promise<JobInfo | null> {
  await jobs.stop(job)
  const began = performance.now()
  for (;;) {
    const info = await jobs.info(job)
    if (info === null || hasEnded(info) || performance.now() - began > STOP) return info
    await new Promise((next) => setTimeout(next, LOOK / 10))
  }
}

/** The log of a job: the driver's lines in it, each once, though a connection that is opened again begins at the first. */
class Log {
  /** Lines of the driver so far. */
  lines = 0
  end: End | undefined
  readonly #push: (event: RunEvent) => void
  #seen = 0
  #at = 0
  #rest = ''

  constructor(push: (event: RunEvent) => void) {
    this.#push = push
  }

  /** The log comes from its beginning again. */
  again(): void {
    this.#at = 0
    this.#rest = ''
  }

  take(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      this.#at += 1
      if (this.#at <= this.#seen) continue
      this.#seen = this.#at
      this.#line(line)
    }
  }

  #line(text: string): void {
    let line: LogLine
    try {
      line = JSON.parse(text) as LogLine
    } catch {
      // Ray, and libraries, write to the log too.
      return
    }
    if (line === null || typeof line !== 'object') return
    if (line.type !== 'event' && line.type !== 'end') return
    this.lines += 1
    if (line.type === 'end') this.end = line
    else this.#push(line.event)
  }
}

const firstLine = (text: string) => text.trim().split('\n', 1)[0] ?? ''

function asError({ code, message, details }: { code: string; message: string; details: object }, url: string) {
  const known = code in errorCodes ? (code as ErrorCode) : 'ENGINE_FAILED'
  return new LongweaveError(known, message, { ...details, url } as ErrorDetails)
}

/** Whether a job ended before its driver spoke, by itself: the same submission would fail again. */
const startFailed = ({ driver_exit_code: code }: JobInfo) =>
  code !== null && code !== undefined && code > 0 && code < 128

function notStarted(reason: string, url: string): LongweaveError {
  const version = binding.version()
  const missing = /No module named '?longweave\b/.test(reason)
  const remedy = missing
    ? `the cluster has no longweave: install \`longweave[ray]==${version}\` with pip in the environment of every node`
    : /not found/.test(reason)
      ? 'the program `engine.python` names is not in the PATH of the head; set it to the Python of the environment in which Ray runs'
      : 'its log on the dashboard has more'
  const [first = '', ...log] = reason.trim().split('\n')
  // Ray writes the first line of a log itself.
  const last = log.findLast((line) => line.trim() !== '' && !line.startsWith('Running entrypoint')) ?? first
  return new LongweaveError('ENGINE_FAILED', `the job on the Ray cluster did not start (${last.trim()}); ${remedy}`, {
    url,
  })
}

/** Submits a run to a Ray cluster and leaves it there. */
export async function submitToRay(
  engine: ResolvedEngine,
  resolved: ResolvedOptions,
  given: Partial<Options>,
  warn: (message: string) => void,
): Promise<SubmittedJob> {
  const submitter = new Submitter(engine, resolved, given, warn, new AbortController().signal)
  const job = await submitter.begin()
  return { job, url: submitter.jobs.url.href, directory: submitter.place.directory }
}
