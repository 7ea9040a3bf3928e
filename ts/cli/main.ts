#!/usr/bin/env node
// The command line: longweave COMMAND. Exit 0 done, 1 failed, 2 wrong usage, 130 interrupted (and resumable).
import { readFileSync } from 'node:fs'
import { LongweaveError } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { commands } from './commands.ts'
import type { Command } from './commands.ts'
import { commandHelp, overview } from './help.ts'
import { inline, printable } from './text.ts'
import { UsageError } from './usage.ts'

function named(name: string): Command {
  const command = commands[name]
  if (command !== undefined) return command
  const meant = nearest(name, Object.keys(commands)).map((other) => `\`${other}\``)
  const help =
    meant.length > 0 ? `did you mean ${meant.join(' or ')}?` : `the commands are ${Object.keys(commands).join(', ')}`
  throw new UsageError(`there is no command \`${name}\`; ${help}`)
}

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(rest[0] === undefined ? overview() : commandHelp(named(rest[0])))
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v') {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    process.stdout.write(`${manifest.version}\n`)
    return 0
  }
  const command = named(name)
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(commandHelp(command))
    return 0
  }
  return (await command.run(rest)) ?? 0
}

// A reader that goes away early (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(printable(`longweave: ${error.message}\nTry \`longweave help\`.\n`))
    process.exitCode = 2
  } else if (error instanceof LongweaveError) {
    const usage = error.code === 'OPTIONS_INVALID'
    process.stderr.write(`longweave: ${inline(error.message)} [${error.code}]\n`)
    process.exitCode = error.code === 'CANCELLED' ? 130 : usage ? 2 : 1
  } else {
    process.stderr.write(
      printable(`longweave: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`),
    )
    process.exitCode = 1
  }
}
