// Removing what no run needs from a work directory. The names are the core's.
import { binding } from './binding.ts'
import { settled } from './errors.ts'

/** A directory of results. */
export interface CleanedDirectory {
  /** `<stage>-<digest>` or `spool`. */
  name: string
  /** The stage that made it; `spool` for documents that were handed over, null for a leftover of an earlier `clean`. */
  stage: string | null
  bytes: number
  /** Seconds of work that it took, by the logs of the runs that can be found; null where no log knows. */
  seconds: number | null
  /** Devices that a model made it on, like `cuda:0`; empty where no model was used. */
  devices: string[]
  /** Whether it was removed, or would be. */
  removed: boolean
  /** The run for which it stays. */
  keptFor: string | null
  /** Whether that run is working now. */
  inUse: boolean
}

/** The result of `clean`. */
export interface Cleaned {
  work: string
  directories: CleanedDirectory[]
  removedBytes: number
  keptBytes: number
}

/** Options of `clean`: one of `keep` and `all` is needed, unless `dryRun` is set. */
export interface CleanOptions {
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
 */
export async function clean(
  work: string,
  { keep = [], all = false, dryRun = false }: CleanOptions = {},
): Promise<Cleaned> {
  return JSON.parse(await settled(binding.clean(work, JSON.stringify({ keep, all, dryRun })))) as Cleaned
}
