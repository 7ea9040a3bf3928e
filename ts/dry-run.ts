// What a run would do. The names are the core's.
import type { Stage } from './events.ts'
import type { ResolvedOptions } from './schema.ts'

/** What a run would do in a stage. */
export interface StagePlan {
  stage: Stage
  /** Its tasks; null while its inputs are not complete. */
  tasks: number | null
  /** Tasks whose results are there already. */
  done: number
  /** Where its results are, or will be. */
  directory: string | null
  /** Bytes that it leaves, about. */
  bytes: number | null
  /** Seconds for what is left; null where that depends on a model or on the data. */
  seconds: number | null
}

/** Bytes still to be written, about, and the room there is; null where that is not known. */
export interface DiskNeed {
  work: { directory: string; bytes: number | null; freeBytes: number | null }
  output: { directory: string; bytes: number | null; freeBytes: number | null }
  /** Whether both stand on one file system. */
  shared: boolean | null
  fits: boolean | null
}

/** What a run would do. */
export interface DryRun {
  options: ResolvedOptions
  directory: string | null
  work: string | null
  /** The files; null where documents are handed over. */
  corpus: { root: string; files: number; bytes: number; splits: number; encoder: string } | null
  /** Counted by an earlier run over the same work directory, or estimated from a sample. */
  facts: { rows: number; textBytes: number; tokens: number; counted: boolean } | null
  stages: StagePlan[]
  disk: DiskNeed | null
  /** What tokenizing, predicting and packing may hold, and what is held beside it, about: metadata, vectors. */
  memory: { budgetBytes: number; metadataBytes: number | null }
  /** Seconds of the whole, from rates measured on another machine. */
  seconds: number | null
  /** What cannot be told beforehand, in words. */
  unknown: string[]
}
