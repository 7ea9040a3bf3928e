#!/usr/bin/env node
// The command line: longweave COMMAND. Exit 0 done, 1 failed, 2 wrong usage, 130 interrupted (and resumable).
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { LongweaveError } from '../errors.ts'
import type { Command } from './command.ts'
import { allCommands, command, commandNames } from './commands.ts'
import type { HelpPart } from './help.ts'
import { UsageError, isUsage, suggestion } from './parse.ts'
import { inline, printable } from './text.ts'

const quoted = (name: string) => `\`longweave ${name}\``

/** Names of the commands whose first word is `first`, where they have two. */
const familyOf = (first: string) => commandNames.filter((name) => name.startsWith(`${first} `))

/** The command that `args` begin with, and what follows its name. */
async function find(args: string[]): Promise<{ found: Command; rest: string[] }> {
  const [first = '', second] = args
  const single = await command(first)
  if (single !== undefined) return { found: single, rest: args.slice(1) }
  const family = familyOf(first)
  const member = second === undefined ? undefined : await command(`${first} ${second}`)
  if (member !== undefined) return { found: member, rest: args.slice(2) }
  if (family.length > 0) {
    const wrong = second === undefined || second.startsWith('-') ? 'is missing' : `cannot be \`${second}\``
    throw new UsageError(`the word after \`${first}\` ${wrong}: use ${family.map(quoted).join(' or ')}`)
  }
  const meant = suggestion(first, commandNames, (name) => `\`${name}\``)
  throw new UsageError(`there is no command \`${first}\`${meant || `; the commands are ${commandNames.join(', ')}`}`)
}

/** `help COMMAND [TOPIC] [--all]`. */
async function help(args: string[]): Promise<string> {
  const { commandHelp, familyHelp, overview, topicsOf } = await import('./help.ts')
  const words = args.filter((word) => !['--all', '--help', '-h'].includes(word))
  if (words.length === 0) return overview(await allCommands())
  const family = familyOf(words[0] ?? '')
  if (words.length === 1 && family.length > 0)
    return familyHelp((await allCommands()).filter(({ name }) => family.includes(name)))
  const { found, rest } = await find(words)
  const topics: readonly string[] = topicsOf(found)
  const [topic, stray] = rest
  if (stray !== undefined) throw new UsageError(`unexpected argument \`${stray}\``, found.name)
  if (topic === undefined) return commandHelp(found, args.includes('--all') ? 'all' : 'common')
  if (topics.includes(topic)) return commandHelp(found, topic as HelpPart)
  const known = topics.length > 0 ? `; the topics are ${topics.join(', ')}` : ''
  throw new UsageError(
    `\`help ${found.name}\` has no topic \`${topic}\`${suggestion(topic, topics, (name) => `\`${name}\``) || known}`,
  )
}

/** Whether `--help` is among the flags: behind `--` it is an argument. */
function asksForHelp(args: string[]): boolean {
  const { tokens } = parseArgs({
    args,
    strict: false,
    tokens: true,
    options: { help: { type: 'boolean', short: 'h' } },
  })
  return tokens.some((token) => token.kind === 'option' && token.name === 'help')
}

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined) {
    process.stdout.write((await import('./help.ts')).firstScreen())
    return 2
  }
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(await help(rest))
    return 0
  }
  if (name === '--version' || name === '-v' || name === '-V') {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    process.stdout.write(`${manifest.version}\n`)
    return 0
  }
  if (familyOf(name).length > 0 && asksForHelp(rest.slice(0, 1))) {
    process.stdout.write(await help([name]))
    return 0
  }
  const { found, rest: given } = await find(args)
  if (asksForHelp(given)) {
    const { commandHelp } = await import('./help.ts')
    process.stdout.write(commandHelp(found, given.includes('--all') ? 'all' : 'common'))
    return 0
  }
  return (await found.run(given)) ?? 0
}

// A reader that goes away early (`| head`) is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) {
    const more = error.command === null ? 'longweave help' : `longweave help ${error.command}`
    process.stderr.write(printable(`longweave: ${error.message}\nTry \`${more}\`.\n`))
  } else if (error instanceof LongweaveError) {
    const { withFlags } = await import('./wording.ts')
    process.stderr.write(`longweave: ${inline(withFlags(error.message))} [${error.code}]\n`)
  } else {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(printable(`longweave: ${text}\n`))
  }
  const cancelled = error instanceof LongweaveError && error.code === 'CANCELLED'
  process.exitCode = cancelled ? 130 : isUsage(error) ? 2 : 1
}
