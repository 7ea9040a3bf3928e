// Cancellation: from an AbortSignal of the caller to a call of the core.
import type { Cancellation } from '#binding'
import { binding } from './binding.ts'
import { LongweaveError, settled } from './errors.ts'

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
    return await settled(work(cancellation))
  } catch (error) {
    throw reasonOf(error, signal)
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** A promise that rejects with the reason of `signal` once it aborts, and what to call when nobody waits for it any more. */
export function abortion(signal: AbortSignal | undefined): { aborted: Promise<never>; release: () => void } {
  const listening = new AbortController()
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true, signal: listening.signal })
  })
  aborted.catch(() => {})
  return { aborted, release: () => listening.abort() }
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
  const { aborted, release } = abortion(signal)
  const opened = settled(work(new binding.Cancellation()))
  try {
    return await Promise.race([opened, aborted])
  } catch (error) {
    if (signal?.aborted === true) opened.then(discard).catch(() => {})
    throw error
  } finally {
    release()
  }
}
