// Stopping a run from another process or machine.
import { binding } from './binding.ts'
import { LongweaveError } from './errors.ts'
import type { StoppedDriver } from './generated/results.ts'
import { cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

export type { StoppedDriver } from './generated/results.ts'

/** Options of `stopRun`. */
export interface StopOptions extends CallOptions {
  /** Most seconds to wait until the driver has ended; 60. */
  waitSeconds?: number
}

/**
 * Asks the process that drives a run to stop, whichever machine it is on, and waits until it has ended. Finished tasks are kept; the run's
 * command resumes it. Null where no process drives the run.
 * @throws LongweaveError `RUN_NOT_PREPARED`; `RUN_LOCKED` where the driver has not ended after `waitSeconds`.
 *
 * @example
 * ```ts
 * import { stopRun } from 'longweave'
 *
 * const driver = await stopRun('out')
 * console.log(driver === null ? 'nobody drives the run' : `process ${driver.process} on ${driver.host} has ended`)
 * ```
 */
export async function stopRun(
  directory: string,
  { waitSeconds = 60, signal }: StopOptions = {},
): Promise<StoppedDriver | null> {
  if (!(waitSeconds >= 0)) {
    const message = `\`waitSeconds\` must be 0 or more, but is ${waitSeconds}`
    throw new LongweaveError('OPTIONS_INVALID', message, { option: 'waitSeconds' })
  }
  return JSON.parse(
    await cancellable(signal, (c) => binding.stopRun(directory, waitSeconds, c)),
  ) as StoppedDriver | null
}
