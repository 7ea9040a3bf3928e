// Cancellation: from an AbortSignal of the caller to a call of the core.
import type { Cancellation } from '#binding'
import { binding } from './binding.ts'
import { LongweaveError, fromBinding, settled } from './errors.ts'

/** Options of a call that can be cancelled. */
export interface CallOptions {
  /** Cancels the call when it aborts: the promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** Whether an error says that the core stopped because it was asked to. */
const isCancelled = (error: unknown) => error instanceof LongweaveError && error.code === 'CANCELLED'

/** `error`, or the reason of the signal that caused it. */
export function reasonOf(error: unknown, signal: AbortSignal | undefined): unknown {
  return signal?.aborted === true && isCancelled(error) ? signal.reason : error
}

/** Awaits a call of the core, which stops once `signal` aborts; throws the signal's reason then. */
export async function cancellable<T>(
  signal: AbortSignal | undefined,
  work: (cancellation: Cancellation) => Promise<T>,
  cancellation: Cancellation = new binding.Cancellation(),
): Promise<T> {
  signal?.throwIfAborted()
  const abort = () => cancellation.cancel()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const value = await work(cancellation)
    // The core may have been too far to stop.
    signal?.throwIfAborted()
    return value
  } catch (error) {
    throw reasonOf(fromBinding(error), signal)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/**
 * As `cancellable`, for a call that cannot be interrupted: it is left behind when `signal` aborts, and what it opens is handed to `discard`.
 */
export async function abandonable<T>(
  signal: AbortSignal | undefined,
  work: (cancellation: Cancellation) => Promise<T>,
  discard: (value: T) => unknown,
): Promise<T> {
  signal?.throwIfAborted()
  const aborted = new Interruption<never>()
  const abort = () =>
    aborted.fire(() => {
      throw signal?.reason
    })
  signal?.addEventListener('abort', abort, { once: true })
  const opened = settled(work(new binding.Cancellation()))
  try {
    return await aborted.until(opened)
  } catch (error) {
    if (signal?.aborted === true) opened.then(discard).catch(() => {})
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/**
 * One event that ends the waiting for many promises, one after the other. `Promise.race` against a promise that stays pending would keep the
 * value of each of them for as long.
 */
export class Interruption<T> {
  #ended: (() => T) | undefined
  #end = (_how: () => T) => {}

  /** Ends all waiting: `how` returns a value or throws. */
  fire(how: () => T): void {
    this.#ended ??= how
    this.#end(this.#ended)
  }

  /** Settles with `promise`, or as the event does, whichever comes first. */
  async until<V>(promise: Promise<V>): Promise<V | T> {
    return await new Promise<V | T>((resolve, reject) => {
      this.#end = (how) => {
        try {
          resolve(how())
        } catch (error) {
          reject(error)
        }
      }
      if (this.#ended !== undefined) this.#end(this.#ended)
      promise.then(resolve, reject)
    })
  }
}

/** The calls of a handle: closing waits for those under way and refuses later ones. */
export class Calls {
  readonly #what: string
  readonly #release: () => Promise<void>
  readonly #pending = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined

  constructor(what: string, release: () => Promise<void>) {
    this.#what = what
    this.#release = release
  }

  /**
   * Makes a call.
   * @throws LongweaveError `HANDLE_CLOSED`
   */
  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw new LongweaveError('HANDLE_CLOSED', `${this.#what} was closed; open it again`)
    const call = work()
    this.#pending.add(call)
    try {
      return await call
    } finally {
      this.#pending.delete(call)
    }
  }

  /** Releases what the calls use, once. */
  async close(): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#pending).then(() => settled(this.#release()))
    await this.#closed
  }
}
