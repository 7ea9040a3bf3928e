// Help that a person can learn the tool from: the first screen, the list of commands, and the help of each.
import { sections } from '../schema.ts'
import type { Section } from '../schema.ts'
import { groups, usage } from './command.ts'
import type { Command, OwnFlag } from './command.ts'
import { defaultOf } from './flags.ts'
import type { Flag } from './given.ts'
import { WIDTH, wrap, wrapCommand } from './layout.ts'

/** The output of `longweave` alone: the way to a finished run. */
export function firstScreen(): string {
  return `longweave makes long-context training sequences from short documents.

You need documents (JSONL, Parquet, text files; field "text") and the
tokenizer.json of the model to train, as on Hugging Face. Then:

  longweave run --corpus 'docs/*.jsonl' --tokenizer tokenizer.json \\
      --length 8192 --out out

  longweave show out       read one sequence: its documents and keywords
  longweave report out     report.html: measures, plots, sequences to read
  longweave verify out     check every byte before you train on it

An interrupted run resumes when you type the same command again.
--dry-run says first what a run would write and how long it would take.

  longweave help           all commands
  longweave help run       the flags of a run, the important ones first
`
}

/** The output of `longweave help`, over the list of all commands. */
export function overview(commands: Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2
  const lists = Object.entries(groups).map(([group, title]) => {
    const rows = commands
      .filter((command) => command.group === group)
      .map(({ name, summary }) => {
        const text = wrap(summary, width + 2).trimStart()
        return `  ${name.padEnd(width)}${text}`
      })
    return `${title}\n${rows.join('\n')}`
  })
  return `longweave: long-context training sequences from short documents

Usage: longweave COMMAND [flags]

${lists.join('\n\n')}

longweave help COMMAND   its flags and examples
longweave help run       the flags of a run, the important ones first
longweave --version      the version

RUN is the output directory of a run. The same command resumes a run.
Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted (resumable).
`
}

/** The output of `longweave help task`: the commands of a family. */
export function familyHelp(family: Command[]): string {
  const width = Math.max(...family.map(({ name }) => name.length))
  const rows = family.map(({ name, summary }) => `  longweave ${name.padEnd(width)}  ${summary}`)
  return `${rows.join('\n')}\n\nlongweave help ${family[0]?.name ?? ''} prints its flags and examples.\n`
}

/** A flag and its text: the notes on the first line where they fit, else after the text. */
function entry(head: string, notes: string[], text: string): string {
  const brackets = notes.map((note) => `[${note}]`).join(' ')
  if (brackets === '') return `  ${head}\n${wrap(text, 6)}`
  const first = `  ${head}  ${brackets}`
  return first.length <= WIDTH
    ? `${first}\n${wrap(text, 6)}`
    : `  ${head}\n${wrap(text, 6)}\n${notes.map((note) => wrap(`[${note}]`, 6)).join('\n')}`
}

function schemaFlag(flag: Flag): string {
  const { name, kind, value, choices, description, when } = flag
  const head =
    kind === 'switch' ? `--${name}, --no-${name}` : `--${name} ${value ?? 'VALUE'}${kind === 'list' ? '…' : ''}`
  const notes: string[] = []
  if (kind !== 'switch' && choices.length > 1) notes.push(choices.join(', '))
  const fallback = defaultOf(flag)
  if (fallback !== null) notes.push(`default: ${fallback}`)
  if (flag.default === undefined) notes.push('required')
  return entry(head, notes, `${description} ${when}`)
}

function ownFlag([name, flag]: [string, OwnFlag]): string {
  const head = flag.value === undefined ? `--${name}` : `--${name} ${flag.value}${flag.multiple ? '…' : ''}`
  const notes: string[] = []
  if (flag.choices !== undefined) notes.push(flag.choices.join(', '))
  if (flag.default !== undefined) notes.push(`default: ${flag.default}`)
  return entry(head, notes, [flag.description, flag.when ?? ''].join(' '))
}

const bySection = (list: Flag[]) =>
  Object.entries(sections).map(([section, title]) => ({
    section: section as Section,
    title,
    flags: list.filter((flag) => flag.section === section),
  }))

const block = (title: string, flags: string[]) => (flags.length === 0 ? [] : [`${title}\n${flags.join('\n')}`])

/** The topics of a command's flags, for `longweave help run TOPIC`. */
export const topicsOf = (command: Command): Section[] =>
  command.options?.byTopic === true ? (Object.keys(sections) as Section[]) : []

function moreTopics(command: Command): string {
  const rows = bySection(command.options?.flags() ?? []).map(
    ({ section, title, flags }) =>
      `  longweave help ${command.name} ${section.padEnd(13)}${title}, ${flags.length} flags`,
  )
  return [
    'All flags',
    ...rows,
    `  longweave help ${command.name} --all        every flag on one page`,
    '',
    wrap(
      'Each option is also a key of a --config file and of the API: docs/options.md lists the names. Flags override the file.',
    ),
  ].join('\n')
}

/** How much of a command's help is wanted: the common flags, all, or those of one topic. */
export type HelpPart = 'common' | 'all' | Section

/** The output of `longweave help COMMAND`. */
export function commandHelp(command: Command, part: HelpPart = 'common'): string {
  const list = command.options?.flags() ?? []
  if (part !== 'common' && part !== 'all') {
    const { title = '', flags = [] } = bySection(list).find(({ section }) => section === part) ?? {}
    return `longweave ${command.name}: ${title}\n\n${flags.map(schemaFlag).join('\n\n')}\n`
  }
  const own = Object.entries(command.flags).map(ownFlag)
  const parts = [
    wrap(`longweave ${command.name}: ${command.summary}`),
    `Usage: ${wrap(usage(command), 7).trimStart()}`,
    ...command.positionals
      .map(({ name, description }) => `  ${name.padEnd(8)}${wrap(description, 10).trimStart()}`)
      .join('\n')
      .split('\n\n'),
    command.details
      .split('\n\n')
      .map((paragraph) => wrap(paragraph))
      .join('\n\n'),
  ]
  if (command.options === null) parts.push(...block('Flags', own))
  else if (!command.options.byTopic) parts.push(...block('Flags', [...own, ...list.map(schemaFlag)]))
  else {
    const shown = part === 'all' ? list : list.filter((flag) => flag.common)
    for (const { title, flags } of bySection(shown)) parts.push(...block(title, flags.map(schemaFlag)))
    parts.push(...block('This call', own))
    if (part === 'common') parts.push(moreTopics(command))
  }
  if (command.examples.length > 0)
    parts.push(`Examples\n${command.examples.map((example) => wrapCommand(example)).join('\n')}`)
  return `${parts.filter(Boolean).join('\n\n')}\n`
}
