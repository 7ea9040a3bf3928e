// Parsing arguments: a command's positionals, its own flags and, for runs, those of the schema.
import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'
import { LongweaveError } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { merge } from '../merge.ts'
import type { Command } from './command.ts'
import { readConfig } from './config.ts'
import { toOptions } from './given.ts'
import type { Flag } from './given.ts'

/** Wrong usage of the command line: exit 2. `command` names the help to read. */
export class UsageError extends Error {
  readonly command: string | null

  constructor(message: string, command: string | null = null) {
    super(message)
    this.command = command
  }
}

/** Parsed arguments. */
export interface Parsed {
  values: Record<string, string | boolean | undefined>
  /** Own flags that can be given several times. */
  lists: Record<string, string[]>
  positionals: string[]
  /** Options from --config and the schema's flags. */
  options: Record<string, unknown>
}

/** `; did you mean A or B?`, or nothing. */
export function suggestion(name: string, known: readonly string[], show = (other: string) => other): string {
  const meant = nearest(name, [...known]).map(show)
  return meant.length > 0 ? `; did you mean ${meant.join(' or ')}?` : ''
}

/** Fails unless `value` is one of `choices`. */
export function checkChoice(what: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return
  const list = choices.length > 1 ? `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}` : choices.join('')
  throw new UsageError(`${what} must be ${list}, but is "${value}"${suggestion(value, choices)}`)
}

/** The message for an error of Node's parser. */
function explain(error: Error & { code?: string }, known: string[]): string {
  const { message } = error
  const named = /'(?:-\w, )?(--?[\w-]+)/.exec(message)?.[1] ?? ''
  if (error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
    return `there is no flag ${named}${suggestion(named.replace(/^-+/, ''), known, (name) => `--${name}`)}`
  if (error.code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    if (message.includes('does not take')) return `${named} takes no value; --no-${named.slice(2)} is its opposite`
    if (message.includes('ambiguous')) return `${named} needs a value; write ${named}=VALUE if it begins with a dash`
    return `${named} needs a value`
  }
  return message
}

function checkPositionals({ name, positionals, options }: Command, given: string[]): void {
  for (const [i, { name: word, description, optional, choices }] of positionals.entries()) {
    const value = given[i]
    if (value === undefined) {
      if (optional === true) continue
      throw new UsageError(`${word} is missing: ${description}`, name)
    }
    if (choices !== undefined) checkChoice(word, value, choices)
  }
  const most = positionals.at(-1)?.multiple === true ? Number.POSITIVE_INFINITY : positionals.length
  const stray = given[most]
  if (stray === undefined) return
  // The shell replaces an unquoted pattern by the files that match it.
  const takesCorpus = options?.flags().some((flag) => flag.name === 'corpus') === true
  const hint = takesCorpus ? "; quote a pattern (--corpus '*.jsonl') or repeat --corpus" : ''
  throw new UsageError(`unexpected argument \`${stray}\`${hint}`, name)
}

/** Parses the arguments of a command. */
export function parse(args: string[], command: Command): Parsed {
  const list: Flag[] = command.options?.flags() ?? []
  const known: NonNullable<ParseArgsConfig['options']> = {}
  for (const [name, { value, multiple = false }] of Object.entries(command.flags))
    known[name] = { type: value === undefined ? 'boolean' : 'string', multiple }
  for (const { name, kind } of list) {
    if (kind !== 'switch') known[name] = { type: 'string', multiple: true }
    else for (const form of [name, `no-${name}`]) known[form] = { type: 'boolean' }
  }
  let parsed: ReturnType<typeof parseArgs>
  try {
    parsed = parseArgs({ args, options: known, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(explain(error as Error, Object.keys(known)), command.name)
  }
  checkPositionals(command, parsed.positionals)
  const given: Record<string, unknown> = {}
  for (const flag of list) {
    if (flag.kind === 'switch') {
      const [on, off] = [parsed.values[flag.name] === true, parsed.values[`no-${flag.name}`] === true]
      if (on && off) throw new UsageError(`--${flag.name} and --no-${flag.name} exclude each other`, command.name)
      if (on || off) given[flag.name] = on
      continue
    }
    const value = parsed.values[flag.name] as string[] | undefined
    if (value === undefined) continue
    if (flag.kind !== 'list' && value.length > 1)
      throw new UsageError(`--${flag.name} can be given once, but is given ${value.length} times`, command.name)
    if (flag.kind === 'text' && flag.choices.length > 0)
      for (const one of value) checkChoice(`--${flag.name}`, one, flag.choices)
    given[flag.name] = flag.kind === 'list' ? value : value[0]
  }
  const values: Parsed['values'] = {}
  const lists: Parsed['lists'] = {}
  for (const [name, flag] of Object.entries(command.flags)) {
    const value = parsed.values[name]
    if (flag.multiple === true) lists[name] = (value ?? []) as string[]
    else values[name] = (value as string | boolean | undefined) ?? flag.default
    const text = values[name]
    if (flag.choices !== undefined && typeof text === 'string') checkChoice(`--${name}`, text, flag.choices)
  }
  const file = values['config']
  const options = merge(typeof file === 'string' ? readConfig(file) : {}, toOptions(given, list))
  return { values, lists, positionals: parsed.positionals, options }
}

/** The text of a flag that must be given. */
export function required(values: Parsed['values'], name: string, command: string): string {
  const value = values[name]
  if (typeof value !== 'string') throw new UsageError(`--${name} is missing`, command)
  return value
}

/** A whole number of at least 0. */
export function wholeNumber(text: string | boolean | undefined, what: string): number {
  if (typeof text !== 'string' || !/^\d+$/.test(text))
    throw new UsageError(`${what} must be a whole number, but is "${String(text)}"`)
  return Number(text)
}

/** Whether an error is about how the command line was used. */
export const isUsage = (error: unknown) =>
  error instanceof UsageError || (error instanceof LongweaveError && error.code === 'OPTIONS_INVALID')
