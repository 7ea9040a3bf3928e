// Help a person can learn the tool from.
import { commands } from './commands.ts'
import type { Command } from './commands.ts'
import type { Flag } from './flags.ts'

const wrap = (text: string, indent: number) => text.replace(/\n/g, `\n${' '.repeat(indent)}`)

/** What `longweave help` says. */
export function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2
  const list = Object.values(commands).map((command) => `  ${command.name.padEnd(width)}${command.summary}`)
  return `longweave: long-context training sequences from short documents

Usage: longweave COMMAND [flags]          longweave help COMMAND for its flags and examples

${list.join('\n')}

A first run, from any JSONL with a field "text" and any Hugging Face tokenizer.json:

  longweave run --corpus 'data/*.jsonl.zst' --tokenizer tokenizer.json --length 32768 --out out
  longweave show out 0 --why
  longweave verify out

Running the same command again resumes a run that was interrupted, or says what it came to.
Exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted (and resumable).
`
}

function schemaFlags(list: Flag[]): string {
  const width = Math.max(...list.map((flag) => flag.name.length)) + 4
  return list
    .map((flag) => {
      const choices = flag.choices.length > 1 ? ` (${flag.choices.join(', ')})` : ''
      const fallback =
        flag.default === undefined ||
        flag.default === null ||
        (Array.isArray(flag.default) && flag.default.length === 0)
          ? ''
          : ` [${String(flag.default)}]`
      const several = flag.kind === 'list' ? '; can be given several times' : ''
      return `  --${flag.name.padEnd(width)}${flag.description}${choices}${several}${fallback}`
    })
    .join('\n')
}

/** What `longweave help COMMAND` says. */
export function commandHelp(command: Command): string {
  const own = Object.entries(command.flags)
  const width = Math.max(0, ...own.map(([name]) => name.length)) + 4
  const flagText = own
    .map(
      ([name, flag]) =>
        `  --${name.padEnd(width)}${wrap(flag.description, width + 4)}${flag.default === undefined ? '' : ` [${flag.default}]`}`,
    )
    .join('\n')
  const parts = [`longweave ${command.name}: ${command.summary}`, `Usage: ${command.usage}`, command.details]
  if (own.length > 0) parts.push(`Flags:\n${flagText}`)
  if (command.options !== null) parts.push(`${command.options.title}:\n${schemaFlags(command.options.flags())}`)
  if (command.examples.length > 0)
    parts.push(`Examples:\n${command.examples.map((example) => `  ${example}`).join('\n')}`)
  return `${parts.filter(Boolean).join('\n\n')}\n`
}
