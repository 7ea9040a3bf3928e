// Preparing a run for engines that hand its tasks out.
import { observed } from './plan.ts'
import type { ObservedOptions } from './plan.ts'
import { PreparedRun } from './prepared.ts'
import type { RunOptions } from './run.ts'

/**
 * Prepares a run: finds the corpus, checks the options and writes `run.json`, so that other processes can run its tasks.
 * @throws LongweaveError as a run before its first stage
 *
 * @example
 * ```ts
 * import { prepare } from 'longweave'
 *
 * const run = await prepare({
 *   corpus: 'docs.jsonl',
 *   idField: 'id',
 *   tokenizer: 'tokenizer.json',
 *   length: 2048,
 *   output: { directory: 'prepared' },
 * })
 * console.log(await run.tasks())
 * ```
 */
export async function prepare(options: RunOptions, callOptions: ObservedOptions = {}): Promise<PreparedRun> {
  const { run, summary } = await observed(options, 'prepare', callOptions)
  await run.close()
  return new PreparedRun(summary.directory ?? '')
}
