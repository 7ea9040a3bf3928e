// The check of numbers that the schema does not cover.
import { LongweaveError } from './errors.ts'

/**
 * Checks a number that counts something before it crosses to the core.
 * @throws LongweaveError `OPTIONS_INVALID`
 */
export function counting(name: string, value: number, least = 0): void {
  if (Number.isSafeInteger(value) && value >= least) return
  const message = `\`${name}\` must be a whole number of at least ${least}, but is ${String(value)}`
  throw new LongweaveError('OPTIONS_INVALID', message, { option: name })
}
