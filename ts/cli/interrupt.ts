// Ctrl-C: the first stops the work in order, the second ends the process at once.

/** Runs `work` with a signal that Ctrl-C and SIGTERM abort; 130 if they did, after `message` on stderr. */
export async function interruptible(message: string, work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const interrupt = new AbortController()
  const stop = () => (interrupt.signal.aborted ? process.exit(130) : interrupt.abort())
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    await work(interrupt.signal)
    return 0
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
    process.stderr.write(`longweave: interrupted; ${message}\n`)
    return 130
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}
