// What a run would do.
import type { DryRunResult } from './generated/results.ts'
import type { ResolvedOptions } from './schema.ts'

export type { DiskNeed, StagePlan } from './generated/results.ts'

/** What a run would do: tasks, bytes, time and memory. Nothing is written to find out. */
export interface DryRun extends DryRunResult {
  /** The options with every choice made. */
  options: ResolvedOptions
}
