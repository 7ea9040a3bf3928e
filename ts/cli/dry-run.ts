// The output of longweave run --dry-run.
import type { DiskNeed, DryRun, StagePlan } from '../dry-run.ts'
import { resolveOptions } from '../options.ts'
import type { ResolvedOptions } from '../schema.ts'
import { flags } from './flags.ts'
import { columns, fold } from './layout.ts'
import { unreadLine } from './summary.ts'
import { bytes, grouped, number, several } from './units.ts'

function corpusLines({ corpus, facts }: DryRun): string[] {
  const lines: string[] = []
  if (corpus !== null)
    lines.push(
      `corpus      ${several(corpus.files, 'file')}, ${bytes(corpus.bytes)}, in ${several(corpus.splits, 'split')}; encoder ${corpus.encoder}`,
      ...unreadLine(corpus.unread),
    )
  if (facts !== null) {
    const [about, how] = facts.counted ? ['', 'counted'] : ['about ', 'estimated from a sample']
    lines.push(
      `            ${about}${number(facts.rows)} rows, ${bytes(facts.textBytes)} of text, ${number(facts.tokens)} tokens, ${how}`,
    )
  }
  return lines
}

function stageRow({ stage, tasks, done, bytes: size }: StagePlan): string[] {
  const state = done === 0 ? '' : done === tasks ? 'reused' : `${done} done`
  return [stage, String(tasks ?? '?'), size === null ? '?' : bytes(size), state]
}

const need = (what: string, { bytes: size, directory, freeBytes }: DiskNeed['work']) =>
  `${what.padEnd(12)}about ${size === null ? '?' : bytes(size)} left to write to ${directory}${freeBytes === null ? '' : `, ${bytes(freeBytes)} free`}`

function diskLines({ work, output, shared, fits }: DiskNeed, refused: boolean): string[] {
  const lines = [need('work', work), need('output', output)]
  if (shared === true) lines.push('            both are on one file system')
  if (fits === false)
    lines.push(`            this does not fit: ${refused ? 'the run will be refused' : 'the disk will fill up'}`)
  return lines
}

const valueAt = (tree: object, path: string[]) =>
  path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], tree)

/** The flags of the options that differ from the defaults of the method. */
function given(options: ResolvedOptions): string[] {
  const { corpus, tokenizer, length, output, method } = options
  const defaults = resolveOptions({
    corpus,
    tokenizer,
    length,
    method: method.name,
    output: { directory: output.directory ?? 'out' },
  })
  const required = new Set(['corpus', 'tokenizer', 'length', 'method', 'out'])
  return flags().flatMap(({ name, path, kind, on }) => {
    const value = valueAt(options, path)
    if (value === undefined || value === null) return []
    if (!required.has(name) && JSON.stringify(value) === JSON.stringify(valueAt(defaults, path))) return []
    if (kind === 'switch') return [value === on ? `--${name}` : `--no-${name}`]
    return [value].flat().map((one) => `--${name} ${String(one)}`)
  })
}

/** A dry run as text. */
export function describeDryRun(run: DryRun): string {
  const { options, memory, disk } = run
  const metadata =
    memory.metadataBytes === null
      ? ''
      : `, about ${bytes(memory.metadataBytes)} of ${run.stages.some(({ stage }) => stage === 'vectors') ? 'vectors and metadata' : 'metadata'} in addition`
  const lines = [
    `method      ${options.method.name}, ${grouped(options.length)} tokens a sequence, seed ${options.seed}, as ${options.output.format}`,
    ...corpusLines(run),
    `directory   ${run.directory ?? 'none: sequences are handed to the program'}${run.work === null ? '' : `, work in ${run.work}`}`,
    '',
    ...columns([['stage', 'tasks', 'writes', ''], ...run.stages.map(stageRow)], 'lrrl'),
    '',
    ...(disk === null ? [] : diskLines(disk, options.diskCheck === 'refuse')),
    `memory      ${bytes(memory.budgetBytes)} for tokenizing, predicting and packing${metadata}`,
    ...run.unknown.map((what) => `unknown     ${what}`),
    `options     ${given(options).join(' ')}; the others are defaults, --json prints all`,
    'nothing was written',
  ]
  return fold(lines)
}
