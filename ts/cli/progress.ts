// Progress of a run: a bar on a terminal, a plain line every 30 seconds elsewhere, a line of JSON for each event with --json.
import type { ProgressEvent, RunEvent, Stage } from '../events.ts'
import { stages as known } from '../generated/stages.ts'
import { inline, jsonLine } from './text.ts'
import { withFlags } from './wording.ts'
import { bytes, number, time } from './units.ts'

/** Where events go. */
export interface Reporter {
  event(event: RunEvent): void
  end(): void
}

/** The surroundings of progress; tests bring their own. */
export interface Surroundings {
  write(text: string): void
  /** Columns of the terminal; null where the output is not one. */
  columns(): number | null
  /** Bytes of memory that the process holds. */
  memory(): number
  /** Calls `tick` every `milliseconds` until the function it returns is called. */
  every(milliseconds: number, tick: () => void): () => void
}

/** Milliseconds between two lines where the output is not a terminal. */
export const INTERVAL = 30_000

const TITLE = Math.max(...Object.values(known).map(({ title }) => title.length))

/** The stage that a run is in, from its events. */
class Position {
  stage: Stage | null = null
  number = 0
  stages = 0
  /** Seconds of the run at which the stage began. */
  began = 0
  first: ProgressEvent | null = null
  last: ProgressEvent | null = null

  take(event: RunEvent): void {
    if (event.type === 'stage') {
      this.stage = event.stage
      this.number = event.number
      this.stages = event.stages
      this.began = event.seconds
      this.first = null
      this.last = null
    } else if (event.type === 'progress') {
      this.first ??= event
      this.last = event
    }
  }

  get share(): number {
    const { done, total } = this.last ?? { done: 0, total: 0 }
    return total === 0 ? 0 : done / total
  }

  /** `[ 3 of 11]`. */
  get place(): string {
    const of = String(this.stages)
    return `[${String(this.number).padStart(of.length)} of ${of}]`
  }

  get title(): string {
    return this.stage === null ? 'Starting' : known[this.stage].title
  }

  /** Speed, time left and memory, if known; the most important first. Tasks of an earlier process do not count as speed. */
  facts(memory: number): string[] {
    const facts: string[] = []
    const { first, last } = this
    if (first !== null && last !== null && last.unit !== 'tasks') {
      const fresh = first === last ? { done: 0, seconds: this.began } : first
      const rate = (last.done - fresh.done) / Math.max(last.seconds - fresh.seconds, 1e-3)
      facts.push(last.unit === 'bytes' ? `${bytes(rate)}/s` : `${number(rate)} ${last.unit}/s`)
    }
    if (last !== null && last.etaSeconds !== null) facts.push(`${time(last.etaSeconds)} left`)
    facts.push(`${bytes(memory)} RAM`)
    return facts
  }
}

/** Columns of a bar, at most and at least. */
const BAR = { most: 24, least: 6 }

/** One line that replaces itself, and a line for each stage that has ended. */
class Bars implements Reporter {
  readonly #to: Surroundings
  readonly #at = new Position()
  #open = false

  constructor(to: Surroundings) {
    this.#to = to
  }

  event(event: RunEvent): void {
    if (event.type === 'warning') return this.#line(`! ${inline(withFlags(event.message))}\n`)
    const { began } = this.#at
    this.#at.take(event)
    const { place, title, share } = this.#at
    const label = `${place} ${title.padEnd(TITLE)}`
    if (event.type === 'stage') {
      if (event.state === 'reused') this.#line(`✓ ${label} already done\n`)
      if (event.state === 'done') this.#line(`✓ ${label} ${time(event.seconds - began)}\n`)
      return
    }
    // A line that wraps could not be replaced: the last facts are left out, then the bar, until it fits.
    const head = `  ${place} ${title} `
    const percent = `${(share * 100).toFixed(0).padStart(3)} %`
    const facts = this.#at.facts(this.#to.memory()).map((fact) => `  ${fact}`)
    const room = (this.#to.columns() ?? 80) - 1 - head.length - percent.length
    const free = () => room - facts.join('').length
    while (facts.length > 2 && free() < BAR.least) facts.pop()
    const bar = Math.min(BAR.most, free() - 1)
    const filled = Math.round(share * bar)
    const drawn = bar < BAR.least - 1 ? '' : `${'█'.repeat(filled)}${'░'.repeat(bar - filled)} `
    const text = `${head}${drawn}${percent}${facts.join('')}`
    this.#line(text)
    this.#open = true
  }

  #line(text: string): void {
    this.#to.write(`\r\u001b[2K${text}`)
    this.#open = false
  }

  end(): void {
    if (this.#open) this.#to.write('\n')
    this.#open = false
  }
}

/** Warnings, and a line every 30 seconds. */
class Lines implements Reporter {
  readonly #to: Surroundings
  readonly #at = new Position()
  readonly #stop: () => void

  constructor(to: Surroundings, progress: boolean) {
    this.#to = to
    this.#stop = progress ? to.every(INTERVAL, () => this.#tick()) : () => {}
  }

  event(event: RunEvent): void {
    if (event.type === 'warning') this.#to.write(`longweave: ${inline(withFlags(event.message))}\n`)
    else this.#at.take(event)
  }

  #tick(): void {
    const { place, title, share, stages, last } = this.#at
    const parts = [title, ...(last === null ? [] : [`${(share * 100).toFixed(0)} %`])]
    const facts = this.#at.facts(this.#to.memory())
    this.#to.write(`longweave: ${stages === 0 ? '' : `${place} `}${[...parts, ...facts].join(', ')}\n`)
  }

  end(): void {
    this.#stop()
  }
}

const ofProcess: Surroundings = {
  write: (text) => void process.stderr.write(text),
  columns: () => (process.stderr.isTTY ? process.stderr.columns : null),
  memory: () => process.memoryUsage.rss(),
  every(milliseconds, tick) {
    const timer = setInterval(tick, milliseconds).unref()
    return () => clearInterval(timer)
  },
}

/** The progress that a caller wants to see. */
export interface ProgressOptions {
  json: boolean
  quiet: boolean
  progress: boolean
}

/** The reporter that fits what is wanted and where the output goes. */
export function reporter({ json, quiet, progress }: ProgressOptions, to: Surroundings = ofProcess): Reporter {
  if (quiet) return { event: () => {}, end: () => {} }
  if (json) return { event: (event) => void process.stdout.write(jsonLine(event)), end: () => {} }
  return progress && to.columns() !== null ? new Bars(to) : new Lines(to, progress)
}

/** Counts items on a terminal, about ten times a second. */
export class Counter {
  readonly #to: Surroundings
  readonly #what: string
  readonly #began = performance.now()
  readonly #stop: () => void
  #count = 0

  constructor(what: string, progress: boolean, to: Surroundings = ofProcess) {
    this.#to = to
    this.#what = what
    const show = () => to.write(`\r\u001b[2K  ${this.#text()}`)
    this.#stop = progress && to.columns() !== null ? to.every(100, show) : () => {}
  }

  #text(): string {
    const seconds = Math.max((performance.now() - this.#began) / 1000, 1e-3)
    return `${number(this.#count)} ${this.#what}, ${number(this.#count / seconds)}/s, ${bytes(this.#to.memory())} RAM`
  }

  one(): void {
    this.#count += 1
  }

  /** Ends the line; on a terminal says how many there were, and `how`. */
  end(how: string): void {
    this.#stop()
    if (this.#to.columns() !== null) this.#to.write(`\r\u001b[2Klongweave: ${this.#text()}, ${inline(how)}\n`)
  }
}
