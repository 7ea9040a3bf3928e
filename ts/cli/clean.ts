// longweave clean.
import { clean } from '../clean.ts'
import type { CleanReport, CleanedDirectory } from '../clean.ts'
import { json } from './command.ts'
import type { Command } from './command.ts'
import { UsageError, parse } from './parse.ts'
import { jsonLine, printable } from './text.ts'
import { bytes, time } from './units.ts'

function cost({ seconds, devices }: Pick<CleanedDirectory, 'seconds' | 'devices'>): string {
  const took = seconds === null ? 'time unknown' : `made in ${time(seconds)}`
  return devices.length === 0 ? took : `${took} by a model on ${devices.join(', ')}`
}

function describe({ directories, removedBytes, keptBytes }: CleanReport, dry: boolean): string {
  const gone = dry ? 'would be deleted' : 'deleted'
  const rows = directories.map((directory) => {
    const { name, bytes: size, removed, keptFor, inUse } = directory
    const why = removed
      ? `${gone}, ${cost(directory)}`
      : inUse
        ? `kept: ${keptFor} is working with it`
        : `kept for ${keptFor}`
    return `${bytes(size).padStart(10)}  ${name.padEnd(26)}  ${why}`
  })
  return [...rows, `${bytes(removedBytes)} ${gone}, ${bytes(keptBytes)} kept`].map((line) => `${line}\n`).join('')
}

/** The message for a call without --keep and --all: the bytes that it would delete, by stage, and their cost. */
function refusal({ work, directories, removedBytes }: CleanReport): string {
  const stages = new Map<string, { size: number; seconds: number | null; devices: Set<string> }>()
  for (const { stage, bytes: size, seconds, devices, removed } of directories) {
    if (!removed) continue
    const sum = stages.get(stage ?? 'leftovers') ?? { size: 0, seconds: 0, devices: new Set() }
    sum.size += size
    sum.seconds = sum.seconds === null || seconds === null ? null : sum.seconds + seconds
    for (const device of devices) sum.devices.add(device)
    stages.set(stage ?? 'leftovers', sum)
  }
  const rows = [...stages].map(([stage, { size, seconds, devices }]) => {
    return `${bytes(size).padStart(10)}  ${stage.padEnd(10)}  ${cost({ seconds, devices: [...devices] })}`
  })
  return [
    `clean needs --keep RUN or --all. Without a run to keep it would delete ${bytes(removedBytes)} from ${work}:`,
    ...rows,
    'Finished outputs do not need these results. Unfinished runs and runs with other',
    'options would compute them again. Add --dry-run to see each directory.',
  ].join('\n')
}

export const cleanCommand: Command = {
  name: 'clean',
  group: 'care',
  summary: 'delete intermediate results from a work directory',
  details: `Keeps the results of the runs that --keep names and those that a process works with; deletes all others. Finished outputs do not need intermediate results. An unfinished run computes them again.

To let a run do this by itself once it is finished, give it --clean-after-seal.`,
  positionals: [{ name: 'WORK', description: 'the work directory: --work of the runs, else OUT/.work' }],
  flags: {
    keep: {
      value: 'RUN',
      multiple: true,
      description: 'Output directory of a run whose results are kept.',
      when: 'Name each run that is not finished or that you will vary.',
    },
    all: {
      description: 'Deletes the results of all runs.',
      when: 'Use it when every output is finished.',
    },
    'dry-run': { description: 'Prints what would be deleted, and deletes nothing.' },
    json,
  },
  options: null,
  json: 'CleanReport',
  examples: ['longweave clean work --keep out-1 --keep out-2 --dry-run', 'longweave clean out/.work --all'],
  async run(args) {
    const { values, lists, positionals } = parse(args, this)
    const work = positionals[0] ?? ''
    const keep = lists['keep'] ?? []
    const all = values['all'] === true
    const dryRun = values['dry-run'] === true
    if (keep.length === 0 && !all && !dryRun)
      throw new UsageError(refusal(await clean(work, { dryRun: true })), this.name)
    const cleaned = await clean(work, { keep, all, dryRun })
    process.stdout.write(values['json'] === true ? jsonLine(cleaned) : printable(describe(cleaned, dryRun)))
  },
}
