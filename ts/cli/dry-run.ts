// What longweave run --dry-run prints.
import type { DiskNeed, DryRun, StagePlan } from '../dry-run.ts'
import { bytes, number, time } from './progress.ts'

const several = (n: number, what: string) => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`

function corpusLines({ corpus, facts }: DryRun): string[] {
  const lines: string[] = []
  if (corpus !== null)
    lines.push(
      `corpus      ${several(corpus.files, 'file')}, ${bytes(corpus.bytes)}, in ${several(corpus.splits, 'split')}; tokens by the encoder ${corpus.encoder}`,
    )
  if (facts !== null) {
    const [about, how] = facts.counted ? ['', 'counted'] : ['about ', 'told from a sample']
    lines.push(
      `            ${about}${number(facts.rows)} rows, ${bytes(facts.textBytes)} of text, ${number(facts.tokens)} tokens, ${how}`,
    )
  }
  return lines
}

function stageLine({ stage, tasks, done, bytes: size, seconds }: StagePlan): string {
  const complete = tasks !== null && done === tasks
  const takes = complete ? 'reused' : seconds === null ? 'unknown' : seconds < 1 ? '<1 s' : `~${time(seconds)}`
  const some = !complete && done > 0 ? `   ${done} done` : ''
  return `${stage.padEnd(12)}${String(tasks ?? '?').padStart(7)}${(size === null ? '?' : bytes(size)).padStart(12)}${takes.padStart(14)}${some}`
}

const need = (what: string, { bytes: size, directory, freeBytes }: DiskNeed['work']) =>
  `${what.padEnd(12)}about ${size === null ? '?' : bytes(size)} still to be written to ${directory}${freeBytes === null ? '' : `, ${bytes(freeBytes)} free`}`

function diskLines({ work, output, shared, fits }: DiskNeed, refused: boolean): string[] {
  const lines = [need('work', work), need('output', output)]
  if (shared === true) lines.push('            both on one file system')
  if (fits === false)
    lines.push(`            this does not fit: ${refused ? 'the run will be refused' : 'the disk will fill up'}`)
  return lines
}

/** What a run would do, as a person reads it. */
export function describeDryRun(run: DryRun): string {
  const { options, memory, disk } = run
  const metadata =
    memory.metadataBytes === null
      ? ''
      : `, about ${bytes(memory.metadataBytes)} of ${run.stages.some(({ stage }) => stage === 'vectors') ? 'vectors and metadata' : 'metadata'} beside`
  const lines = [
    `method      ${options.method.name}, ${options.length.toLocaleString('en')} tokens a sequence, seed ${options.seed}, as ${options.output.format}`,
    ...corpusLines(run),
    `directory   ${run.directory ?? 'none: sequences are handed out'}${run.work === null ? '' : `, work in ${run.work}`}`,
    '',
    `${'stage'.padEnd(12)}${'tasks'.padStart(7)}${'leaves'.padStart(12)}${'takes'.padStart(14)}`,
    ...run.stages.map(stageLine),
    '',
    ...(disk === null ? [] : diskLines(disk, options.diskCheck === 'refuse')),
    `memory      ${bytes(memory.budgetBytes)} for tokenizing, predicting and packing${metadata}`,
    `time        ${run.seconds === null ? 'unknown' : `about ${time(run.seconds)}, by rates of another machine`}`,
    ...run.unknown.map((what) => `not known   ${what}`),
    `options     ${JSON.stringify(options)}`,
    'nothing was written',
  ]
  return `${lines.join('\n')}\n`
}
