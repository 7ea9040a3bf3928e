// longweave clean.
import { clean } from '../clean.ts'
import type { Cleaned } from '../clean.ts'
import type { Command } from './commands.ts'
import type { Flag } from './flags.ts'
import { bytes } from './progress.ts'
import { jsonLine, printable } from './text.ts'
import { UsageError, parse } from './usage.ts'

const keep: Flag = {
  name: 'keep',
  path: ['keep'],
  kind: 'list',
  description: 'output directory of a run whose intermediates stay',
  default: undefined,
  choices: [],
}

function describe({ directories, removedBytes, keptBytes }: Cleaned, dry: boolean): string {
  const gone = dry ? 'would go' : 'removed'
  const rows = directories.map(({ name, bytes: size, removed, keptFor, inUse }) => {
    const why = removed ? gone : inUse ? `stays: ${keptFor} is working with it` : `stays for ${keptFor}`
    return `${bytes(size).padStart(10)}  ${name.padEnd(30)}  ${why}`
  })
  return [...rows, `${bytes(removedBytes)} ${dry ? 'would be removed' : 'removed'}, ${bytes(keptBytes)} left`]
    .map((line) => `${line}\n`)
    .join('')
}

export const cleanCommand: Command = {
  name: 'clean',
  summary: 'remove results from a work directory that no run needs',
  usage: 'longweave clean --work DIR [--keep RUN]… [--dry-run]',
  details: `Directories that a run named by --keep refers to stay, and those that a run is working with; all others go. Finished outputs need none of
them; a run that is not finished makes them again. \`--clean sealed\` lets a run do so for itself once it is finished.`,
  flags: {
    work: { type: 'string', description: 'the work directory; of a run without --work, OUT/.work' },
    'dry-run': { type: 'boolean', description: 'only say what would go' },
    json: { type: 'boolean', description: 'as JSON' },
  },
  options: { title: 'Runs to keep', flags: () => [keep] },
  examples: ['longweave clean --work work --keep out-1 --keep out-2 --dry-run', 'longweave clean --work out/.work'],
  async run(args) {
    const { values, options } = parse(args, this.flags, { list: [keep] })
    if (typeof values['work'] !== 'string') throw new UsageError('--work DIR is missing')
    const dry = values['dry-run'] === true
    const cleaned = await clean(values['work'], { keep: (options['keep'] ?? []) as string[], dryRun: dry })
    process.stdout.write(values['json'] === true ? jsonLine(cleaned) : printable(describe(cleaned, dry)))
  },
}
