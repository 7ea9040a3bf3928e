// Progress of a run: bars on a terminal, a line of JSON for each event with --json, nothing when piped.
import type { RunEvent, Stage } from '../events.ts'
import { inline, jsonLine } from './text.ts'

/** Where events go. */
export interface Reporter {
  event(event: RunEvent): void
  end(): void
}

const number = (value: number) => {
  for (const [unit, size] of [
    ['T', 1e12],
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const)
    if (value >= size) return `${(value / size).toFixed(1)}${unit}`
  return value.toFixed(0)
}

const time = (seconds: number) =>
  seconds < 60
    ? `${seconds.toFixed(0)} s`
    : seconds < 3600
      ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
      : `${(seconds / 3600).toFixed(1)} h`

const titles: Record<Stage, string> = {
  spool: 'Unpacking large files',
  scan: 'Counting rows',
  ingest: 'Tokenizing',
  documents: 'Numbering documents',
  predict: 'Predicting queries',
  extract: 'Extracting keywords',
  embed: 'Embedding',
  vectors: 'Making vectors',
  index: 'Building the index',
  neighbours: 'Finding neighbours',
  plan: 'Planning',
  report: 'Diagnosing',
  route: 'Choosing a way to pack',
  scatter: 'Scattering tokens',
  pack: 'Packing',
  seal: 'Sealing',
}

class Bars implements Reporter {
  #began = 0
  #open = false

  event(event: RunEvent): void {
    if (event.type === 'warning') return this.#line(`  ! ${inline(event.message)}\n`)
    const title = titles[event.stage].padEnd(20)
    if (event.type === 'stage') {
      if (event.state === 'started') this.#began = event.seconds
      if (event.state === 'reused') this.#line(`✓ ${title} already done\n`)
      if (event.state === 'done') this.#line(`✓ ${title} ${time(event.seconds - this.#began)}\n`)
      return
    }
    const { done, total, unit, seconds, etaSeconds, runEtaSeconds } = event
    const share = total === 0 ? 1 : done / total
    const elapsed = Math.max(seconds - this.#began, 1e-3)
    const rate = done / elapsed
    const left = [
      etaSeconds === null ? '' : `, ${time(etaSeconds)} left`,
      runEtaSeconds === null ? '' : `, ${time(runEtaSeconds)} of the run`,
    ].join('')
    const filled = Math.round(share * 24)
    this.#line(
      `  ${title} ${'█'.repeat(filled)}${'░'.repeat(24 - filled)} ${(share * 100).toFixed(0).padStart(3)} %  ${number(rate)} ${unit}/s${left}`,
    )
    this.#open = true
  }

  #line(text: string): void {
    process.stderr.write(`\r\u001b[2K${text}`)
    this.#open = false
  }

  end(): void {
    if (this.#open) process.stderr.write('\n')
    this.#open = false
  }
}

/** The reporter that fits where the output goes. */
export function reporter(json: boolean): Reporter {
  if (json) return { event: (event) => void process.stdout.write(jsonLine(event)), end: () => {} }
  if (process.stderr.isTTY) return new Bars()
  return {
    event: (event) => void (event.type === 'warning' && process.stderr.write(`longweave: ${inline(event.message)}\n`)),
    end: () => {},
  }
}

/** Bytes with a unit. */
const bytes = (value: number) => `${number(value)}B`.replace(/([kMGT])B/, ' $1B').replace(/^(\d+)B$/, '$1 B')

export { bytes, number, time }
