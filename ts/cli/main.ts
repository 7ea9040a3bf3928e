#!/usr/bin/env node
// The command line: longweave COMMAND. Exit 0 done, 1 failed, 2 wrong usage, 130 interrupted (and resumable).
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { LongweaveError } from '../errors.ts'
import type { Command } from './command.ts'
import { commands } from './commands.ts'
import { commandHelp, familyHelp, firstScreen, overview, topicsOf } from './help.ts'
import type { HelpPart } from './help.ts'
import { UsageError, isUsage, suggestion } from './parse.ts'
import { inline, printable } from './text.ts'
import { withFlags } from './wording.ts'

const quoted = (name: string) => `\`longweave ${name}\``

/** Names of the commands whose first word is `first`, where they have two. */
const familyOf = (first: string) => Object.keys(commands).filter((name) => name.startsWith(`${first} `))

/** The command that `args` begin with, and what follows its name. */
function find(args: string[]): { command: Command; rest: string[] } {
  const [first = '', second] = args
  const command = commands[first]
  if (command !== undefined) return { command, rest: args.slice(1) }
  const family = familyOf(first)
  const member = second === undefined ? undefined : commands[`${first} ${second}`]
  if (member !== undefined) return { command: member, rest: args.slice(2) }
  if (family.length > 0) {
    const found = second === undefined || second.startsWith('-') ? 'is missing' : `cannot be \`${second}\``
    throw new UsageError(`the word after \`${first}\` ${found}: use ${family.map(quoted).join(' or ')}`)
  }
  const known = Object.keys(commands)
  const meant = suggestion(first, known, (name) => `\`${name}\``)
  throw new UsageError(`there is no command \`${first}\`${meant || `; the commands are ${known.join(', ')}`}`)
}

/** `help COMMAND [TOPIC] [--all]`. */
function help(args: string[]): string {
  const words = args.filter((word) => !['--all', '--help', '-h'].includes(word))
  if (words.length === 0) return overview()
  const family = familyOf(words[0] ?? '')
  if (words.length === 1 && family.length > 0) return familyHelp(family)
  const { command, rest } = find(words)
  const topics: readonly string[] = topicsOf(command)
  const [topic, stray] = rest
  if (stray !== undefined) throw new UsageError(`unexpected argument \`${stray}\``, command.name)
  if (topic === undefined) return commandHelp(command, args.includes('--all') ? 'all' : 'common')
  if (topics.includes(topic)) return commandHelp(command, topic as HelpPart)
  const known = topics.length > 0 ? `; the topics are ${topics.join(', ')}` : ''
  throw new UsageError(
    `\`help ${command.name}\` has no topic \`${topic}\`${suggestion(topic, topics, (name) => `\`${name}\``) || known}`,
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
    process.stdout.write(firstScreen())
    return 2
  }
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(help(rest))
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
    process.stdout.write(help([name]))
    return 0
  }
  const found = find(args)
  if (asksForHelp(found.rest)) {
    process.stdout.write(commandHelp(found.command, found.rest.includes('--all') ? 'all' : 'common'))
    return 0
  }
  return (await found.command.run(found.rest)) ?? 0
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
    process.stderr.write(`longweave: ${inline(withFlags(error.message))} [${error.code}]\n`)
  } else {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(printable(`longweave: ${text}\n`))
  }
  const cancelled = error instanceof LongweaveError && error.code === 'CANCELLED'
  process.exitCode = cancelled ? 130 : isUsage(error) ? 2 : 1
}
