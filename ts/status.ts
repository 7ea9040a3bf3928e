// The state of a run, read from its directories alone.
import { binding } from './binding.ts'
import type { RunStatus } from './generated/results.ts'
import { cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

export type { LogMessage, RunStatus, StageStatus } from './generated/results.ts'

/**
 * The state of a run, for any kind of driver. It only reads, so it works while the run is active and after it was killed.
 * @throws LongweaveError `RUN_NOT_PREPARED`.
 *
 * @example
 * ```ts
 * import { status } from 'longweave'
 *
 * const { state, stages, disk } = await status('out')
 * console.log(state, stages.filter(({ state }) => state === 'done').length, 'stages done,', disk.outputBytes, 'bytes')
 * ```
 */
export async function status(directory: string, { signal }: CallOptions = {}): Promise<RunStatus> {
  return JSON.parse(await cancellable(signal, (c) => binding.status(directory, c))) as RunStatus
}
