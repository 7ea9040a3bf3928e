// Parsing arguments: a command's own flags and, for runs, those of the schema.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'
import { LongweaveError } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { merge } from '../options.ts'
import { toOptions } from './flags.ts'
import type { Flag } from './flags.ts'

/** Wrong usage of the command line: exit 2. */
export class UsageError extends Error {}

/** A flag of a command beside the schema's. */
export interface OwnFlag {
  type: 'string' | 'boolean'
  description: string
  default?: string
}

/** Parsed arguments. */
export interface Parsed {
  values: Record<string, string | boolean | undefined>
  positionals: string[]
  /** Options of a run, from --config and flags. */
  options: Record<string, unknown>
}

function config(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new LongweaveError(
      'INPUT_NOT_FOUND',
      `the config file ${path} cannot be read: ${(cause as Error).message}`,
      { file: path },
      { cause },
    )
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new LongweaveError(
      'OPTIONS_INVALID',
      `the config file ${path} is no JSON: ${(cause as Error).message}`,
      { file: path },
      { cause },
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new LongweaveError('OPTIONS_INVALID', `the config file ${path} holds no object`, { file: path })
  const options = value as Record<string, unknown>
  // As in the API, a method can be its name alone.
  if (typeof options['method'] === 'string') options['method'] = { name: options['method'] }
  return options
}

/** Of an unknown flag: those it may have meant. */
function explain(error: Error, known: string[]): string {
  const unknown = /^Unknown option '--?([^']+)'/.exec(error.message)?.[1]
  if (unknown === undefined) return error.message
  const meant = nearest(unknown, known).map((name) => `--${name}`)
  return `there is no flag --${unknown}${meant.length > 0 ? `; did you mean ${meant.join(' or ')}?` : ''}`
}

/** Parses `args`: the command's own flags, those of a schema (`list`), and at most `most` other arguments. */
export function parse(
  args: string[],
  own: Record<string, OwnFlag>,
  { list = [], most = 0 }: { list?: Flag[]; most?: number } = {},
): Parsed {
  const known: NonNullable<ParseArgsConfig['options']> = {}
  for (const [name, { type }] of Object.entries(own)) known[name] = { type }
  for (const flag of list) known[flag.name] = { type: 'string', multiple: true }
  let parsed: ReturnType<typeof parseArgs>
  try {
    parsed = parseArgs({ args, options: known, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(explain(error as Error, Object.keys(known)))
  }
  if (parsed.positionals.length > most) throw new UsageError(`unexpected argument \`${parsed.positionals[most]}\``)
  const given: Record<string, unknown> = {}
  for (const flag of list) {
    const value = parsed.values[flag.name] as string[] | undefined
    if (value !== undefined) given[flag.name] = flag.kind === 'list' || value.length > 1 ? value : value[0]
  }
  const values = Object.fromEntries(
    Object.entries(own).map(([name, flag]) => [
      name,
      (parsed.values[name] as string | boolean | undefined) ?? flag.default,
    ]),
  )
  const file = values['config']
  const options = merge(typeof file === 'string' ? config(file) : {}, toOptions(given, list))
  return { values, positionals: parsed.positionals, options }
}

/** The only or first positional argument. */
export function required(positionals: string[], place: number, what: string): string {
  const value = positionals[place]
  if (value === undefined) throw new UsageError(`${what} is missing`)
  return value
}

/** A whole number of at least 0. */
export function wholeNumber(text: string | boolean | undefined, what: string): number {
  if (typeof text !== 'string' || !/^\d+$/.test(text))
    throw new UsageError(`${what} must be a whole number, but is "${String(text)}"`)
  return Number(text)
}
