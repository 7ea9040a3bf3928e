// Several lengths that share the documents: a run for each, over one work directory.
import { join } from 'node:path'
import { isStream } from './corpus.ts'
import { LongweaveError } from './errors.ts'
import type { Summary } from './generated/results.ts'
import { lengthsOf } from './options.ts'
import { plan } from './plan.ts'
import type { ObservedOptions } from './plan.ts'
import { weave } from './run.ts'
import type { RunOptions } from './run.ts'

/** A length's share of the tokens may differ from the one that is asked for by this much. */
const SHARE_MISSED = 0.02

/** Options of runs of several lengths: as those of a run, with `lengths` in place of `length`. */
export type LengthsOptions = Omit<RunOptions, 'length' | 'lengths'> & {
  /** The lengths with their shares of the documents, in any unit. */
  lengths: NonNullable<RunOptions['lengths']>
}

/** The summary of one length. */
export interface LengthSummary {
  /** Tokens of a sequence. */
  length: number
  summary: Summary
}

const refuse = (option: string, message: string) => new LongweaveError('OPTIONS_INVALID', message, { option })

/**
 * The options of each length's own run: its output is `output.directory`/LENGTH, and all share a work directory, so that tokens, queries,
 * keywords and vectors are made once. Any of them can be run by itself, in any order and on any machine.
 * @throws LongweaveError `OPTIONS_INVALID`
 *
 * @example
 * ```ts
 * import { runsByLength, weave } from 'longweave'
 *
 * const runs = runsByLength({
 *   corpus: 'docs.jsonl',
 *   idField: 'id',
 *   tokenizer: 'tokenizer.json',
 *   lengths: [
 *     { length: 1024, share: 1 },
 *     { length: 2048, share: 1 },
 *   ],
 *   output: { directory: 'by-length' },
 * })
 * for (const run of runs) await weave(run).finished
 * ```
 */
export function runsByLength(options: LengthsOptions): RunOptions[] {
  const lengths = lengthsOf(options.lengths)
  if (lengths.length === 0) throw refuse('lengths', '`lengths` must name at least one length')
  if (isStream(options.corpus))
    throw refuse('lengths', '`lengths` needs a corpus of files: each length reads it; write the documents to a file')
  const { directory, upload } = options.output ?? {}
  if (typeof directory !== 'string')
    throw refuse(
      'output.directory',
      '`output.directory` must be given with `lengths`: each length writes files of its own',
    )
  return lengths.map(({ length }) => ({
    ...options,
    length,
    lengths,
    work: options.work ?? join(directory, '.work'),
    output: {
      ...options.output,
      directory: join(directory, String(length)),
      ...(typeof upload === 'string' && { upload: `${upload.replace(/\/+$/, '')}/${length}` }),
    },
  }))
}

const sum = (numbers: number[]) => numbers.reduce((total, n) => total + n, 0)
const percent = (part: number) => `${(part * 100).toFixed(1)} %`

/** Says which lengths have another share of the planned tokens than was asked for. */
function unmet(runs: RunOptions[], planned: Summary[]): string | null {
  const lengths = lengthsOf(runs[0]?.lengths ?? [])
  const tokens = planned.map(({ plan: stats }) => stats?.tokens.inSequences ?? 0)
  const missed = lengths.flatMap(({ length, share }, i) => {
    const [found, asked] = [(tokens[i] ?? 0) / Math.max(1, sum(tokens)), share / sum(lengths.map((own) => own.share))]
    return Math.abs(found - asked) > SHARE_MISSED
      ? [`${length} has ${percent(found)} in place of ${percent(asked)}`]
      : []
  })
  return missed.length === 0
    ? null
    : `the lengths' shares of the tokens are not those of \`lengths\`: ${missed.join(', ')}. Documents of one keyword stay together, and a length drops what fills no sequence`
}

/** Plans each run, and warns of shares of lengths that cannot be met. */
export async function planEach(runs: RunOptions[], call: ObservedOptions): Promise<Summary[]> {
  const planned: Summary[] = []
  for (const own of runs) {
    const made = await plan(own, call)
    planned.push(made.summary)
    await made.close()
  }
  const message = runs.length > 1 ? unmet(runs, planned) : null
  if (message !== null) call.onEvent?.({ type: 'warning', message })
  return planned
}

/**
 * Weaves sequences of several lengths from one corpus; no document is in two lengths. All lengths are planned before the first is packed,
 * and a warning says which shares cannot be met. The same call again resumes. With `engine`, lengths are run one after the other, each
 * planned when its turn comes.
 * @throws LongweaveError as a run
 *
 * @example
 * ```ts
 * import { weaveLengths } from 'longweave'
 *
 * const made = await weaveLengths({
 *   corpus: 'docs.jsonl',
 *   idField: 'id',
 *   tokenizer: 'tokenizer.json',
 *   lengths: [
 *     { length: 1024, share: 1 },
 *     { length: 2048, share: 1 },
 *   ],
 *   incomplete: 'pad',
 *   output: { directory: 'curriculum' },
 * })
 * for (const { length, summary } of made) console.log(length, summary.plan?.sequences)
 * ```
 */
export async function weaveLengths(options: LengthsOptions, call: ObservedOptions = {}): Promise<LengthSummary[]> {
  const runs = runsByLength(options)
  const { signal, onEvent } = call
  if (options.engine === undefined) await planEach(runs, call)
  const made: LengthSummary[] = []
  for (const own of runs) {
    const run = weave(own, signal === undefined ? {} : { signal })
    for await (const event of run) onEvent?.(event)
    made.push({ length: own.length, summary: await run.finished })
  }
  return made
}
