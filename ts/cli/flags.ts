// Flags from the schema: each leaf of the options is a flag named by its last word, in kebab-case.
import { optionsJsonSchema } from '../schema.ts'
import { LongweaveError } from '../errors.ts'

type Json = Record<string, unknown>

/** A flag and the option that it sets. */
export interface Flag {
  name: string
  /** Path of the option, for example `['method', 'fill']`. */
  path: string[]
  kind: 'text' | 'number' | 'boolean' | 'list'
  description: string
  default: unknown
  choices: string[]
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
/** Flags whose name is not their option's. */
const renamed: Record<string, string> = {
  'output.directory': 'out',
  'method.name': 'method',
  'queries.file': 'queries-file',
  'vectors.source': 'vectors',
}
/** Sections whose name stands before that of their options: others have options of these names. */
const prefixed = new Set(['vectors', 'neighbours'])

function properties(schema: Json): Record<string, Json> {
  return (schema['properties'] ?? {}) as Record<string, Json>
}

function alternatives(schema: Json): Json[] {
  const list = (schema['anyOf'] ?? schema['oneOf']) as Json[] | undefined
  return list === undefined ? [schema] : list.flatMap(alternatives)
}

function leaf(path: string[], schema: Json): Flag {
  const forms = alternatives(schema)
  const types = forms.map((form) => form['type'])
  const isNumber = !types.includes('string') && types.some((type) => type === 'number' || type === 'integer')
  const isBoolean = types.includes('boolean')
  const kind = types.includes('array') ? 'list' : isNumber ? 'number' : isBoolean ? 'boolean' : 'text'
  const choices = forms.flatMap(
    (form) => (form['enum'] ?? (form['const'] === undefined ? [] : [form['const']])) as string[],
  )
  const key = path.join('.')
  if (isBoolean) choices.push('true', 'false')
  return {
    name: renamed[key] ?? kebab((prefixed.has(path[0] ?? '') ? path : path.slice(-1)).join('-')),
    path,
    kind,
    description: (schema['description'] ?? '') as string,
    default: schema['default'],
    choices,
  }
}

/** Adds to `first; a, b: other` that a method has the default `own`. */
function otherDefault(known: string, method: string, own: string): string {
  const [first = '', ...others] = known.split('; ')
  if (own === first) return known
  const same = others.findIndex((other) => other.endsWith(`: ${own}`))
  if (same === -1) return [known, `${method}: ${own}`].join('; ')
  return [first, ...others.map((other, i) => (i === same ? other.replace(/: .*/, `, ${method}: ${own}`) : other))].join(
    '; ',
  )
}

/** Flags of a flat schema, as JSON Schema. */
export function flagsOf(schema: Json): Flag[] {
  return Object.entries(properties(schema)).map(([name, below]) => leaf([name], below))
}

/** All flags of a run, in the schema's order. */
export function flags(): Flag[] {
  const found = new Map<string, Flag>()
  for (const [section, schema] of Object.entries(properties(optionsJsonSchema()))) {
    const objects = alternatives(schema).filter((form) => form['type'] === 'object')
    if (objects.length === 0 && section !== 'method') {
      found.set(section, leaf([section], schema))
      continue
    }
    for (const object of objects) {
      for (const [name, below] of Object.entries(properties(object))) {
        const key = `${section}.${name}`
        const flag = leaf([section, name], below)
        const known = found.get(key)
        if (known === undefined) {
          found.set(key, key === 'method.name' ? { ...flag, default: schema['default'] } : flag)
          continue
        }
        known.choices = [...new Set([...known.choices, ...flag.choices])]
        if (flag.default !== undefined)
          known.default = otherDefault(
            String(known.default),
            String(properties(object)['name']?.['const']),
            String(flag.default),
          )
      }
    }
  }
  return [...found.values()]
}

/** Options as nested objects, from parsed flags. */
export function toOptions(parsed: Record<string, unknown>, list: Flag[]): Json {
  const options: Json = {}
  for (const flag of list) {
    const given = parsed[flag.name]
    if (given === undefined) continue
    let value: unknown = given
    if (flag.kind === 'list') value = Array.isArray(given) ? given.map(String) : [String(given)]
    else if (Array.isArray(given))
      throw new LongweaveError(
        'OPTIONS_INVALID',
        `--${flag.name} can be given once, but is given ${given.length} times`,
        { option: flag.path.join('.') },
      )
    else if (flag.kind === 'number') {
      value = typeof given === 'string' && given.trim() !== '' ? Number(given) : Number.NaN
      if (Number.isNaN(value))
        throw new LongweaveError('OPTIONS_INVALID', `--${flag.name} must be a number, but is "${String(given)}"`, {
          option: flag.path.join('.'),
        })
    } else if (flag.kind === 'boolean') {
      if (given !== 'true' && given !== 'false')
        throw new LongweaveError('OPTIONS_INVALID', `--${flag.name} must be true or false, but is "${String(given)}"`, {
          option: flag.path.join('.'),
        })
      value = given === 'true'
    } else value = String(given)
    let at = options
    for (const part of flag.path.slice(0, -1)) at = (at[part] ??= {}) as Json
    at[flag.path.at(-1) ?? ''] = value
  }
  return options
}
