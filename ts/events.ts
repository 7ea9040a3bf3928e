// Events of a run and its outcome.
import type { RunEvent } from './generated/results.ts'

export type { PlanStats, RunEvent, Summary } from './generated/results.ts'
export type { Stage } from './generated/stages.ts'

/** A stage starts, is reused, or ends. */
export type StageEvent = Extract<RunEvent, { type: 'stage' }>

/** Progress of a stage. */
export type ProgressEvent = Extract<RunEvent, { type: 'progress' }>

/** Something a person should know before using the output. */
export type WarningEvent = Extract<RunEvent, { type: 'warning' }>
