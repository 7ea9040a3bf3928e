// Removing what no run needs from a work directory. The names are the core's.
import { binding } from './binding.ts'
import type { CleanReport } from './generated/results.ts'
import { cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

export type { CleanReport, CleanedDirectory } from './generated/results.ts'

/** Options of `clean`: one of `keep` and `all` is needed, unless `dryRun` is set. */
export interface CleanOptions extends CallOptions {
  /** Output directories of runs whose intermediate results stay. */
  keep?: string[]
  /** Deletes everything that no process works with. */
  all?: boolean
  /** Only reports what would be deleted. */
  dryRun?: boolean
}

/**
 * Deletes the results in a work directory that no run of `keep` refers to and no process works with. Finished outputs do not need them; an
 * unfinished run computes them again.
 * @throws LongweaveError `OPTIONS_INVALID` without `keep` and `all`: the message and the details say what would be deleted and how long it took to
 *   make. `INPUT_NOT_FOUND` if `work` is not a work directory, `RUN_NOT_PREPARED` if a directory of `keep` does not hold a run.
 *
 * @example
 * ```ts
 * import { clean } from 'longweave'
 *
 * const { directories, removedBytes } = await clean('out/.work', { keep: ['out'], dryRun: true })
 * console.log(directories.map(({ name, keptFor }) => `${name} is kept for ${keptFor}`), removedBytes)
 * ```
 */
export async function clean(
  work: string,
  { keep = [], all = false, dryRun = false, signal }: CleanOptions = {},
): Promise<CleanReport> {
  return JSON.parse(
    await cancellable(signal, (c) => binding.clean(work, JSON.stringify({ keep, all, dryRun }), c)),
  ) as CleanReport
}
