// Documents that are large, or cost much to tokenize: a run holds `memory`, or says what it needs. Measured in a process of its own.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunOptions } from '../ts/index.ts'
import { folder, full, node, plain, root, wordTokenizer } from './support.ts'

const directory = folder()
const tokenizer = wordTokenizer(directory)
const library = JSON.stringify(join(root, 'dist/index.js'))
const MiB = 2 ** 20

/** Memory of a process with Node, the addon and a small run in addition to `memory`, in MiB. */
const beside = 200

let runs = 0

/** Runs a corpus of these rows in a process of its own: its error, and the most memory that it took in MiB. */
async function measured(
  rows: Iterable<object>,
  options: Partial<RunOptions>,
): Promise<{ code: string | null; message: string; tokens: number; peak: number }> {
  runs += 1
  const corpus = join(directory, `${runs}.jsonl`)
  writeFileSync(corpus, [...rows].map((row) => `${JSON.stringify(row)}\n`).join(''))
  const all = {
    ...plain,
    corpus,
    tokenizer,
    length: 1024,
    method: { name: 'standard' },
    output: { directory: join(directory, `${runs}`), provenance: 'none' },
    threads: 2,
    ...options,
  }
  const program = `import { weave } from ${library}
    const told = (code, message, tokens) => console.log(JSON.stringify({ code, message, tokens, peak: process.resourceUsage().maxRSS / 1024 }))
    await weave(${JSON.stringify(all)}).finished.then(({ corpus }) => told(null, '', corpus.tokens), (error) => told(error.code, error.message, 0))`
  const { out, err } = await node(['--input-type=module', '-e', program]).ended
  expect(err).toBe('')
  return JSON.parse(out) as { code: string | null; message: string; tokens: number; peak: number }
}

const words = (bytes: number) => 'w7 '.repeat(bytes / 3)
const documents = (number: number, text: string) => Array.from({ length: number }, (_, i) => ({ id: `${i}`, text }))

test('documents larger than a batch are tokenized one by one, within memory', async () => {
  const bytes = 3 * MiB
  const { code, message, tokens, peak } = await measured(documents(6, words(bytes)), { memory: 64 * MiB })
  expect([code, message, tokens]).toEqual([null, '', (6 * bytes) / 3])
  expect(peak).toBeLessThan(64 + beside)
})

test('a document that needs more than memory is an error that says how much, and with a smaller bound a bad row', async () => {
  const rows = [
    { id: 'a', text: words(3000) },
    { id: 'b', text: words(6 * MiB) },
    { id: 'c', text: words(3000) },
  ]
  const refused = await measured(rows, { memory: 64 * MiB })
  expect(refused.code).toBe('MEMORY_BUDGET')
  expect(refused.message).toMatch(
    /^2\.jsonl:2: tokenizing this document of 6291456 bytes may take \d{9} bytes, but `memory` is 67108864; raise `memory`/,
  )
  expect(refused.peak).toBeLessThan(64 + beside)
  expect(await measured(rows, { memory: 64 * MiB, maxDocumentBytes: MiB, onBadRow: 'skip' })).toMatchObject({
    code: null,
    tokens: 2000,
  })
})

test('one endless word costs more than words do', async () => {
  const { code, peak } = await measured(documents(1, 'w'.repeat(2 * MiB)), { memory: 64 * MiB })
  expect(code).toBe('MEMORY_BUDGET')
  expect(peak).toBeLessThan(64 + beside)
})

test.runIf(full)('eight documents of 20 MB are woven within 512 MiB', async () => {
  const { code, peak } = await measured(documents(8, words(20 * MiB)), { memory: 512 * MiB })
  expect(code).toBeNull()
  expect(peak).toBeLessThan(512 + beside)
})
