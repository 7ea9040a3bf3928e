// The one error class. The codes are the core's catalogue; a test keeps the two lists equal.

/** Every code with one sentence on when it is raised. */
export const errorCodes = {
  OPTIONS_INVALID: 'An option is unknown, missing, of the wrong type or out of range.',
  INPUT_NOT_FOUND: 'A corpus pattern, tokenizer or queries file matches nothing that exists.',
  INPUT_UNSUPPORTED: "A file's kind is none of those that can be read.",
  INPUT_CHANGED: "An input file's size, modification time or etag differs from when the run was prepared.",
  INPUT_TRUNCATED: 'A .gz, .zst or Parquet file ends early or is damaged.',
  CORPUS_EMPTY: 'The corpus holds no document that can be used.',
  BAD_ROW: 'A row is no JSON object, or its text or id field is missing or of the wrong type.',
  BAD_UTF8: 'A row or file is not valid UTF-8.',
  DOCUMENT_TOO_LARGE: 'A document has more than `maxDocumentBytes` bytes.',
  MISSING_COLUMN: 'A Parquet file lacks a column that was asked for, or it is not a string column.',
  DUPLICATE_ID: 'Two documents have the same id.',
  TOO_MANY_ROWS: 'The corpus has more than 2³²−1 rows.',
  TOKENIZER_INVALID: 'The tokenizer file does not load.',
  TOKEN_NOT_FOUND:
    'No separator, padding or begin-of-text token is known for the tokenizer, or a named one is not in it.',
  QUERIES_INVALID: 'A file of precomputed queries is malformed or holds no query.',
  VECTORS_INVALID: 'A file of vectors is none that can be read, is cut short, or has not one vector for each document.',
  ONNXRUNTIME_MISSING: 'No ONNX Runtime library was found, or the one that was named does not load.',
  ONNXRUNTIME_INCOMPATIBLE:
    'The ONNX Runtime that was found is too old, or another one is loaded in this process already.',
  DEVICE_UNAVAILABLE:
    'The device that was asked for cannot be used: no CUDA provider, no such GPU, its libraries are missing.',
  MODEL_MISSING: 'A model directory, or a file that it must hold, is not there.',
  MODEL_INVALID: 'A file of a model is damaged, cut short, or not what its kind should be.',
  MODEL_MISMATCH: "A model's graph has other inputs, outputs or types than its kind should have.",
  MODEL_TOKENIZER: "A model's tokenizer has more tokens than the model knows.",
  MODEL_NOT_FINITE: 'A model gave numbers that are not finite.',
  INFERENCE_FAILED: 'ONNX Runtime failed while it ran a model, for want of memory perhaps.',
  NO_KEYWORDS: 'No document has a representative keyword, so a keyworded pool is empty.',
  PLAN_EMPTY: 'The pool is too small for a single sequence of the asked length.',
  PLAN_TOO_LARGE: 'A plan needs more groups than 2³²−1, or a document or sequence more tokens than 2³¹−1.',
  MEMORY_BUDGET: 'A single buffer needs more than `memory`.',
  OUTPUT_EXISTS: "The output directory holds files that are not this run's.",
  OUTPUT_DENIED: 'The output or work directory cannot be written: read-only or no permission.',
  DISK_SPACE: 'What a run is going to write does not fit on the disk.',
  DISK_FULL: "The disk, or the user's quota, is full.",
  IO: 'The operating system failed to read or write.',
  REMOTE_NOT_BUILT: 'A URL was given to a build without remote storage.',
  REMOTE_DENIED: 'A remote store refused its credentials, or what they may do.',
  REMOTE_FAILED: 'A remote store could not be reached, or failed again and again.',
  FILE_CORRUPT: 'A file of ours has the wrong length, checksum or content.',
  VERSION_MISMATCH: 'A work directory, run or output was made by another, incompatible version.',
  RUN_LOCKED: 'Another process drives this run, or holds this task.',
  RUN_MISMATCH: 'The output directory belongs to a run with other options.',
  RUN_NOT_PREPARED: 'The directory holds no run.json; prepare the run first.',
  STAGE_NOT_FOUND: 'No stage or task of that name or number exists in the run.',
  NOT_KEYWORDED: 'The run has no keywords: neither its method nor its output uses them.',
  STAGE_NOT_READY: "The stage's inputs are not complete yet.",
  SEQUENCE_NOT_FOUND: 'The output has no sequence of that number.',
  OUTPUT_NOT_FOUND: 'The directory or URL holds no longweave.json: it is not an output, or its run has not finished.',
  VERIFY_FAILED: "An output's files differ from what its manifest and checksums say.",
  CANCELLED: 'The caller cancelled; what was finished is kept and the run can be resumed.',
  HANDLE_CLOSED: 'The handle was closed; open it again.',
  PANIC: 'A bug in longweave: an internal invariant broke. The process goes on.',
  ADDON_MISSING: 'The native addon does not load on this platform.',
  INTERNAL: 'Something the operating system or a library should not refuse was refused.',
} as const

/** What went wrong, as a stable name. */
export type ErrorCode = keyof typeof errorCodes

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
