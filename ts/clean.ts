// Removing what no run needs from a work directory. The names are the core's.
import { binding } from './binding.ts'
import { settled } from './errors.ts'

/** A directory of results. */
export interface CleanedDirectory {
  /** `<stage>-<digest>` or `spool`. */
  name: string
  bytes: number
  /** Whether it was removed, or would be. */
  removed: boolean
  /** The run for which it stays. */
  keptFor: string | null
  /** Whether that run is working now. */
  inUse: boolean
}

/** What became of a work directory. */
export interface Cleaned {
  work: string
  directories: CleanedDirectory[]
  removedBytes: number
  keptBytes: number
}

/** Options of `clean`. */
export interface CleanOptions {
  /** Output directories of runs whose intermediates stay. */
  keep?: string[]
  /** Only tell. */
  dryRun?: boolean
}

/**
 * Removes the results in a work directory that no run of `keep` refers to and no run is working with. Finished outputs do not need them; a run that
 * is not finished makes them again.
 * @throws LongweaveError `INPUT_NOT_FOUND` for what is no work directory, `RUN_NOT_PREPARED` for what is no run.
 */
export async function clean(work: string, { keep = [], dryRun = false }: CleanOptions = {}): Promise<Cleaned> {
  return JSON.parse(await settled(binding.clean(work, JSON.stringify({ keep, dryRun })))) as Cleaned
}
