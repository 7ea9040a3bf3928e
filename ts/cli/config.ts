// The file of --config: JSON with comments and trailing commas.
import { readFileSync } from 'node:fs'
import strip from 'strip-json-comments'
import { LongweaveError } from '../errors.ts'

/** `:line:column` of a character, from 1. */
function place(text: string, at: number): string {
  const before = text.slice(0, at).split('\n')
  return `:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}

/** The options in a file. */
export function readConfig(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const message = `the config file ${path} cannot be read: ${(cause as Error).message}`
    throw new LongweaveError('INPUT_NOT_FOUND', message, { file: path }, { cause })
  }
  let value: unknown
  try {
    // Comments become spaces, so that positions stay.
    value = JSON.parse(strip(text, { trailingCommas: true }))
  } catch (cause) {
    const { message } = cause as Error
    const at = /at position (\d+)/.exec(message)?.[1]
    const where = at === undefined ? '' : place(text, Number(at))
    const reason = message.replace(/ in JSON at position \d+.*/, '').replace(/^Unexpected/, 'unexpected')
    throw new LongweaveError('OPTIONS_INVALID', `${path}${where} is not JSON: ${reason}`, { file: path }, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new LongweaveError('OPTIONS_INVALID', `${path} does not hold an object with options`, { file: path })
  const options = value as Record<string, unknown>
  // As in the API, a method can be its name alone.
  if (typeof options['method'] === 'string') options['method'] = { name: options['method'] }
  return options
}
