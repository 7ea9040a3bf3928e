// Flags from a schema: each option is the flag that its metadata names.
import * as z from 'zod'
import { described, engineSchema } from '../schema.ts'
import type { OptionMeta } from '../schema.ts'
import type { Flag } from './given.ts'

type Json = Record<string, unknown>

// A command parses options once: making code for it takes longer.
z.config({ jitless: true })

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
  const sections = { ...properties(described()), engine: described(engineSchema) }
  for (const [section, schema] of Object.entries(sections)) {
    const objects = alternatives(schema).filter((form) => form['properties'] !== undefined)
    if (objects.length === 0) found.set(section, leaf([section], schema))
    for (const object of objects) {
      const method = String(properties(object)['name']?.['const'])
      for (const [name, below] of Object.entries(properties(object))) {
        const key = `${section}.${name}`
        const flag = leaf([section, name], below)
        // Without its name, a run has no engine.
        if (section === 'engine') flag.default ??= null
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
  if (value === undefined || value === null || value === '') return null
  if (typeof value === 'object' && Object.keys(value).length === 0) return null
  if (kind === 'switch') return value === on ? 'on' : value === off ? 'off' : null
  return String(value)
}
