// The one error class. Its codes are the core's catalogue.
import { errorCodes } from './generated/error-codes.ts'
import type { ErrorCode } from './generated/error-codes.ts'

export { errorCodes }
export type { ErrorCode }

/** A place in a corpus. */
interface RowDetails {
  file?: string
  /** Line of a text file, from 1, blank lines included. */
  line?: number
  /** Row group of a Parquet file, from 0. */
  rowGroup?: number
  /** Record batch of an Arrow file, from 0. */
  recordBatch?: number
  /** Row of its row group or record batch, from 0. */
  row?: number
  /** Row of its Parquet or Arrow file, from 0. */
  fileRow?: number
  /** Document of a stream, from 0. */
  document?: number
  /** Why the row is bad. */
  reason?: string
}

/** Codes whose details are more than the file that the error is about. */
interface SpecificDetails {
  OPTIONS_INVALID: {
    /** The first option that is wrong. */
    option?: string
    /** Every option that is wrong. */
    problems?: { option: string; message: string }[]
    url?: string
  }
  INPUT_NOT_FOUND: { option?: string; path?: string; url?: string }
  INPUT_UNSUPPORTED: RowDetails & {
    /** The column that cannot be read. */
    column?: string
  }
  BAD_ROW: RowDetails
  BAD_UTF8: RowDetails
  DOCUMENT_TOO_LARGE: RowDetails
  MISSING_COLUMN: RowDetails & {
    column?: string
    /** The columns there are. */
    columns?: string[]
  }
  COLUMN_TYPE: RowDetails & {
    column?: string
    /** The type of the column. */
    found?: string
  }
  DUPLICATE_ID: {
    id?: string
    /** Where the first two documents of that id are. */
    locations?: RowDetails[]
  }
  TOKEN_NOT_FOUND: { option?: string; token?: string }
  QUERIES_INVALID: RowDetails
  TOPICS_INVALID: { option?: string; line?: number }
  VECTORS_INVALID: RowDetails & { expected?: unknown; found?: unknown }
  ONNXRUNTIME_MISSING: { library?: string; looked?: string[] }
  ONNXRUNTIME_INCOMPATIBLE: { library?: string }
  DEVICE_UNAVAILABLE: { device?: string }
  MODEL_MISMATCH: { expected?: unknown; found?: unknown }
  DISK_SPACE: {
    workBytes?: number
    workFreeBytes?: number | null
    outputBytes?: number
    outputFreeBytes?: number | null
  }
  FILE_CORRUPT: {
    /** Stage and task whose result is corrupt. */
    stage?: string
    task?: number
  }
  RUN_MISMATCH: {
    /** The options that differ. */
    options?: string[]
  }
  STAGE_NOT_FOUND: { stage?: string; tasks?: number }
  STAGE_NOT_READY: { stage?: string }
  SEQUENCE_NOT_FOUND: { sequence?: number }
  REMOTE_DENIED: { url?: string }
  REMOTE_FAILED: { url?: string }
  PLACE_LOST: { stage?: string; task?: number }
  ENGINE_DENIED: { url?: string }
  ENGINE_UNREACHABLE: { url?: string }
  ENGINE_FAILED: { url?: string }
  ADDON_MISSING: {
    /** `process.platform` and `process.arch`. */
    platform?: string
  }
}

/** Data of an error for programs, by code. */
export type ErrorDetails<C extends ErrorCode = ErrorCode> = { file?: string } & (C extends keyof SpecificDetails
  ? SpecificDetails[C]
  : unknown)

/** An error of one code. */
export interface LongweaveErrorOf<C extends ErrorCode> extends Error {
  readonly name: 'LongweaveError'
  readonly code: C
  readonly details: ErrorDetails<C>
}

/**
 * An error of longweave: `code` for programs, `message` for people (what happened, where, what to do), `details`. A union by code: where
 * `error.code === 'BAD_ROW'`, `error.details.line` is known.
 */
export type LongweaveError = { [C in ErrorCode]: LongweaveErrorOf<C> }[ErrorCode]

/** The class of all errors of longweave. */
export interface LongweaveErrorConstructor {
  new <C extends ErrorCode>(
    code: C,
    message: string,
    details?: ErrorDetails<C>,
    options?: ErrorOptions,
  ): LongweaveErrorOf<C>
  readonly prototype: LongweaveError
}

class CodedError extends Error {
  override readonly name = 'LongweaveError'
  readonly code: ErrorCode
  readonly details: object

  constructor(code: ErrorCode, message: string, details: object = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.details = details
  }
}

/**
 * Constructs errors of longweave, and recognises them by `instanceof`.
 *
 * @example
 * ```ts
 * import { LongweaveError, weave } from 'longweave'
 *
 * const options = { corpus: 'missing.jsonl', tokenizer: 'tokenizer.json', length: 2048, output: { directory: 'never' } }
 * try {
 *   await weave(options).finished
 * } catch (error) {
 *   if (error instanceof LongweaveError && error.code === 'INPUT_NOT_FOUND') console.log(error.message)
 *   else throw error
 * }
 * ```
 */
export const LongweaveError = CodedError as unknown as LongweaveErrorConstructor

/** A failure of the operating system to read or write a file, with the code that the core gives it. */
export function fromSystem(cause: unknown, action: 'read' | 'write', file: string): LongweaveError {
  const { code = '', message } = cause as NodeJS.ErrnoException
  const [ours, remedy]: ['DISK_FULL' | 'OUTPUT_DENIED' | 'IO', string] = ['ENOSPC', 'EDQUOT'].includes(code)
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
  // Node-API's own refusal of an argument, `StringExpected` and the like: types were ignored.
  const { code: kind } = error as { code?: unknown }
  if (typeof kind === 'string' && /^(InvalidArg|\w+Expected)$/.test(kind))
    return new LongweaveError('OPTIONS_INVALID', `an argument has the wrong type: ${text}`)
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
