// The description of a command. Help, completions, docs/cli.md and the parser are made from it.
import type { Flag } from './given.ts'

/** A flag that only the command line has. */
export interface OwnFlag {
  /** The word for its value in help; FILE and DIR complete to paths. A flag without one is a switch. */
  value?: string
  description: string
  /** When to use it, a sentence. */
  when?: string
  default?: string
  choices?: readonly string[]
  /** Whether it can be given several times. */
  multiple?: boolean
}

/** An argument without a flag. */
export interface Positional {
  /** Its name in help, in capitals. */
  name: string
  description: string
  optional?: boolean
  /** Whether it can be given several times; only the last one. */
  multiple?: boolean
  choices?: readonly string[]
}

/** The parts of a list of commands. */
export const groups = {
  make: 'Make sequences',
  read: 'Look at a run',
  parts: 'Use a part alone',
  tasks: 'Drive tasks yourself (Slurm, Ray, a shell loop)',
  care: 'Care',
} as const

/** A command. */
export interface Command {
  /** Its name; two words for the commands of a family, like `task run`. */
  name: string
  group: keyof typeof groups
  summary: string
  details: string
  positionals: Positional[]
  flags: Record<string, OwnFlag>
  /** Flags that come from a schema; null where there are none. Those of a run are grouped by topic. */
  options: { byTopic: boolean; flags: () => Flag[] } | null
  /** The output of `--json`, by the names of types; null for a command without it. */
  json: string | null
  examples: string[]
  /** Runs it with the arguments after its name; the exit status, 0 where none is given. */
  run(args: string[]): Promise<number | void>
}

const metavar = (flag: OwnFlag) => (flag.value === undefined ? '' : ` ${flag.value}`)

/** The first line of a command's help: `longweave show RUN [N] [--why]`. */
export function usage({ name, positionals, options, flags }: Command): string {
  const places = positionals.map((place) => {
    const word = `${place.name}${place.multiple === true ? '…' : ''}`
    return place.optional === true ? `[${word}]` : word
  })
  const given = (options?.byTopic ?? false) ? ['--corpus PATH…', '--tokenizer FILE', '--length N', '--out DIR'] : []
  const more =
    options !== null || Object.keys(flags).length > 4
      ? ['[flags]']
      : Object.entries(flags).map(([flag, own]) => `[--${flag}${metavar(own)}]`)
  return ['longweave', name, ...places, ...given, ...more].join(' ')
}

/** The flag of all commands that can print for programs. */
export const json: OwnFlag = {
  description: 'Prints JSON, one value a line.',
  when: 'Use it in programs; docs/cli.md describes the output.',
}

/** Flags of all commands that work for a while. */
export const quietFlags: Record<string, OwnFlag> = {
  quiet: {
    description: 'Prints nothing but errors; with --json, only the result.',
    when: 'Use it in scripts that only look at the exit status.',
  },
  'no-progress': {
    description: 'Shows no bars, and where the output is not a terminal no line every 30 seconds.',
    when: 'Use it when a log should hold warnings and the result only.',
  },
}

/** The argument that names a run. */
export const runDirectory: Positional = { name: 'RUN', description: 'the output directory of the run, its --out' }
