// The one error class. Its codes are the core's catalogue.
import { errorCodes } from './generated/error-codes.ts'
import type { ErrorCode } from './generated/error-codes.ts'

export { errorCodes }
export type { ErrorCode }

/** What an error carries for programs, beside its message. Which are there depends on the code. */
export interface ErrorDetails {
  /** The file it is about. */
  file?: string
  /** The row of that file, from 0. */
  row?: number
  /** Why a row is bad. */
  reason?: string
  /** The option that is wrong. */
  option?: string
  /** Every option that is wrong. */
  problems?: { option: string; message: string }[]
  /** The id that comes twice. */
  id?: string
  /** The column that is missing, and those there are. */
  column?: string
  columns?: string[]
  /** The stage or task it is about. */
  stage?: string
  task?: number
  [name: string]: unknown
}

/** An error of longweave: `code` for programs, `message` for people (what, where, what to do), `details`. */
export class LongweaveError extends Error {
  override readonly name = 'LongweaveError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.details = details
  }
}

/** A failure of the operating system to read or write a file, with the code that the core gives it. */
export function fromSystem(cause: unknown, action: 'read' | 'write', file: string): LongweaveError {
  const { code = '', message } = cause as NodeJS.ErrnoException
  const [ours, remedy]: [ErrorCode, string] = ['ENOSPC', 'EDQUOT'].includes(code)
    ? ['DISK_FULL', '; free some space']
    : action === 'write' && ['EACCES', 'EPERM', 'EROFS'].includes(code)
      ? ['OUTPUT_DENIED', '; choose a directory that you may write to']
      : ['IO', '']
  return new LongweaveError(ours, `cannot ${action} ${file}: ${message}${remedy}`, { file }, { cause })
}

/** The binding's error, whose message is JSON, as a LongweaveError; anything else as it is. */
export function fromBinding(error: unknown): unknown {
  // Not `instanceof Error`: a test runner can give each file a realm, and the addon's errors are of the first.
  const text = (error as { message?: unknown } | null | undefined)?.message
  if (typeof text !== 'string') return error
  try {
    const { code, message, details } = JSON.parse(text) as {
      code: ErrorCode
      message: string
      details: ErrorDetails
    }
    if (code in errorCodes) return new LongweaveError(code, message, details)
  } catch {
    // Not ours.
  }
  return error
}

/** Runs `work`; errors of the binding come as LongweaveErrors. */
export function call<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw fromBinding(error)
  }
}

/** Awaits `promise`; errors of the binding come as LongweaveErrors. */
export async function settled<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    throw fromBinding(error)
  }
}
