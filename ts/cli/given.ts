// From flags that were given to options. It does not know the schema, whose making takes time that few commands need.
import { LongweaveError } from '../errors.ts'
import type { OptionMeta } from '../schema.ts'

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
export function toOptions(parsed: Record<string, unknown>, list: Flag[]): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  for (const flag of list) {
    const given = parsed[flag.name]
    if (given === undefined) continue
    let at = options
    for (const part of flag.path.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>
    at[flag.path.at(-1) ?? ''] = valueOf(flag, given)
  }
  return options
}
