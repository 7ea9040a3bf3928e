// The state of a run, read from its directories alone.
import { binding } from './binding.ts'
import type { RunStatus } from './generated/results.ts'
import { cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

export type { LogMessage, RunStatus, StageStatus } from './generated/results.ts'

/**
 * How a run is going, whoever works on it. Only reads, so that it can be asked for while the run goes on, and after it was killed.
 * @throws LongweaveError `RUN_NOT_PREPARED`.
 */
export async function status(directory: string, { signal }: CallOptions = {}): Promise<RunStatus> {
  return JSON.parse(await cancellable(signal, (c) => binding.status(directory, c))) as RunStatus
}
