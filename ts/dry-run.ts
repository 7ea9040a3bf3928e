// Dry runs: the work of a run before it starts.
import type { DryRunResult } from './generated/results.ts'
import type { ResolvedOptions } from './schema.ts'

export type { DiskNeed, StagePlan } from './generated/results.ts'

/** The work of a run: tasks, bytes and memory. Nothing is written to find out. */
export interface DryRun extends DryRunResult {
  /** The options with every choice made. */
  options: ResolvedOptions
}
