// How a run is going, told from its directories alone. The names are the core's.
import { binding } from './binding.ts'
import { settled } from './errors.ts'
import type { ProgressEvent, Stage } from './events.ts'
import type { ResolvedOptions } from './schema.ts'

/** How a stage of a run is going. */
export interface StageStatus {
  stage: Stage
  /** `waiting`: stages that it reads are not complete; `open`: tasks are left and nobody works on them. */
  state: 'waiting' | 'open' | 'running' | 'done'
  /** Its tasks; null while its inputs are not complete. */
  tasks: number | null
  done: number
  /** Tasks that a living process of this machine holds. */
  running: number
  /** Tasks whose lease names a process of another machine, which may live or not. */
  elsewhere: number
  unit: ProgressEvent['unit']
  /** Units done, those of running tasks included. */
  unitsDone: number | null
  unitsTotal: number | null
  /** Units a second, all processes together. */
  rate: number | null
  /** Seconds that some process worked on it. */
  seconds: number | null
  /** Seconds left; null for a stage that is done and where nothing is known. */
  etaSeconds: number | null
}

/** An error or warning of a run. */
export interface Said {
  /** When, in UTC. */
  time: string
  process: number
  /** The code of an error. */
  code: string | null
  message: string
}

/** How a run is going. */
export interface RunStatus {
  directory: string
  work: string
  method: ResolvedOptions['method']['name']
  length: number
  /** `stopped`: nobody works on it and the last process ended in order; `killed`: the last process ended without a word. */
  state: 'prepared' | 'running' | 'stopped' | 'interrupted' | 'failed' | 'killed' | 'finished'
  /** The process that drives the run; null where tasks are handed out otherwise, or nobody works. */
  driver: { process: number; host: string } | null
  stages: StageStatus[]
  /** Seconds that some process worked on the run. */
  elapsedSeconds: number
  /** Seconds left of the run; null unless they are known for every stage. */
  etaSeconds: number | null
  lastError: Said | null
  lastWarning: Said | null
  disk: {
    /** Bytes of the work directory, which other runs may share. */
    workBytes: number
    /** Bytes of the output directory, without the work directory. */
    outputBytes: number
    workFreeBytes: number | null
    outputFreeBytes: number | null
  }
}

/**
 * How a run is going, whoever works on it. Only reads, so that it can be asked for while the run goes on, and after it was killed.
 * @throws LongweaveError `RUN_NOT_PREPARED`.
 */
export async function status(directory: string): Promise<RunStatus> {
  return JSON.parse(await settled(binding.status(directory))) as RunStatus
}
