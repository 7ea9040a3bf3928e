// Flags from a schema: each option is the flag that its metadata names.
import type { z } from 'zod'
import { LongweaveError } from '../errors.ts'
import { described } from '../schema.ts'
import type { OptionMeta } from '../schema.ts'

type Json = Record<string, unknown>

/** A flag and the option that it sets. */
export interface Flag extends Omit<OptionMeta, 'flag'> {
  /** Its name, without dashes. */
  name: string
  /** Path of the option, for example `['method', 'fill']`. */
  path: string[]
  /** A switch takes no value: `--name` sets `on`, `--no-name` sets `off`. */
  kind: 'text' | 'number' | 'switch' | 'list'
  description: string
  /** Undefined where the option must be given. */
  default: unknown
  choices: string[]
}

function properties(schema: Json): Record<string, Json> {
  return (schema['properties'] ?? {}) as Record<string, Json>
}

function alternatives(schema: Json): Json[] {
  const list = (schema['anyOf'] ?? schema['oneOf']) as Json[] | undefined
  return list === undefined ? [schema] : list.flatMap(alternatives)
}

function leaf(path: string[], schema: Json): Flag {
  const forms = alternatives(schema)
  const types = forms.flatMap((form) => form['type'])
  const { flag: name, ...meta } = schema['option'] as OptionMeta
  const isNumber = !types.includes('string') && types.some((type) => type === 'number' || type === 'integer')
  const isSwitch = types.includes('boolean') || meta.on !== true
  return {
    name,
    path,
    kind: types.includes('array') ? 'list' : isNumber ? 'number' : isSwitch ? 'switch' : 'text',
    description: String(schema['description']),
    default: schema['default'],
    choices: forms.flatMap(
      (form) => (form['enum'] ?? (form['const'] === undefined ? [] : [form['const']])) as string[],
    ),
    ...meta,
  }
}

/** Flags of a flat schema. */
export function flagsOf(schema: z.ZodType): Flag[] {
  return Object.entries(properties(described(schema))).map(([name, below]) => leaf([name], below))
}

/** Defaults by method as one text: that of the default method first, then the others. */
function joined(defaults: Map<string, unknown>, method: unknown): unknown {
  const groups = new Map<unknown, string[]>()
  for (const [name, value] of defaults) groups.set(value, [...(groups.get(value) ?? []), name])
  if (groups.size === 1) return [...groups.keys()][0]
  const texts = [...groups].map(([value, names]) => {
    if (names.includes(String(method))) return String(value)
    return `${groups.size === 2 && defaults.has(String(method)) ? 'others' : names.join(', ')}: ${String(value)}`
  })
  return texts.join('; ')
}

/** All flags of a run, in the schema's order. */
export function flags(): Flag[] {
  const found = new Map<string, Flag>()
  const ofMethods = new Map<string, Map<string, unknown>>()
  for (const [section, schema] of Object.entries(properties(described()))) {
    const objects = alternatives(schema).filter((form) => form['type'] === 'object')
    if (objects.length === 0) found.set(section, leaf([section], schema))
    for (const object of objects) {
      const method = String(properties(object)['name']?.['const'])
      for (const [name, below] of Object.entries(properties(object))) {
        const key = `${section}.${name}`
        const flag = leaf([section, name], below)
        const known = found.get(key)
        if (known === undefined) found.set(key, flag)
        else known.choices = [...new Set([...known.choices, ...flag.choices])]
        if (section !== 'method') continue
        const defaults = ofMethods.get(key) ?? new Map<string, unknown>()
        ofMethods.set(key, defaults.set(method, flag.default))
        const merged = found.get(key)
        if (merged !== undefined) merged.default = name === 'name' ? schema['default'] : joined(defaults, 'quest')
      }
    }
  }
  return [...found.values()]
}

/** The default of a flag as help and docs show it; null where it has none. */
export function defaultOf({ kind, default: value, on, off }: Flag): string | null {
  if (value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)) return null
  if (kind === 'switch') return value === on ? 'on' : value === off ? 'off' : null
  return String(value)
}

function valueOf(flag: Flag, given: unknown): unknown {
  const option = { option: flag.path.join('.') }
  if (flag.kind === 'list') return Array.isArray(given) ? given.map(String) : [String(given)]
  if (Array.isArray(given)) {
    const message = `--${flag.name} can be given once, but is given ${given.length} times`
    throw new LongweaveError('OPTIONS_INVALID', message, option)
  }
  if (flag.kind === 'switch') return given === true ? flag.on : flag.off
  if (flag.kind === 'text') return String(given)
  const value = typeof given === 'string' && given.trim() !== '' ? Number(given) : Number.NaN
  if (Number.isNaN(value)) {
    const message = `--${flag.name} must be a number, but is "${String(given)}"`
    throw new LongweaveError('OPTIONS_INVALID', message, option)
  }
  return value
}

/** Options as nested objects, from parsed flags: values by name, of a switch whether it is on. */
export function toOptions(parsed: Record<string, unknown>, list: Flag[]): Json {
  const options: Json = {}
  for (const flag of list) {
    const given = parsed[flag.name]
    if (given === undefined) continue
    let at = options
    for (const part of flag.path.slice(0, -1)) at = (at[part] ??= {}) as Json
    at[flag.path.at(-1) ?? ''] = valueOf(flag, given)
  }
  return options
}
