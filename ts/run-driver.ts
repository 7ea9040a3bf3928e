// Who drives a run: the native core in this process, or an engine elsewhere.

/** A run that is driven somewhere. Results and events are JSON. */
export interface RunDriver {
  /** The summary; rejects with the run's error. */
  result(): Promise<string>
  /** The next event; null after the last. */
  nextEvent(): Promise<string | null>
  /** Asks the run to stop; finished tasks are kept. */
  cancel(): void
  /** Cancels the run if it has not ended, and resolves when nothing of it works any more. */
  close(): Promise<void>
}
