// `verify` finds whatever became of an output: of every format that the schema has, in every file of it.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { verify } from '../ts/index.ts'
import { optionsSchema } from '../ts/schema.ts'
import {
  failure,
  filesOf,
  finished,
  folder,
  full,
  plain,
  randomCorpus,
  randomNumbers,
  wordTokenizer,
  writeJsonl,
} from './support.ts'

const directory = folder()
const out = (name: string) => join(directory, name)
const tokenizer = wordTokenizer(directory)
// One row is rejected, so that there is a list of rejects.
const corpus = writeJsonl(out('small.jsonl'), [...randomCorpus(9, 60, 20), { id: 7 }])
const formats = optionsSchema.shape.output
  .unwrap()
  .shape.format.unwrap()
  .options.filter((format) => format !== 'memory')
/** Bytes that are changed in a file: all in the full tier, else some. */
const most = full ? Number.POSITIVE_INFINITY : 24

/** The code of the error that `verify` finds. */
const found = async (output: string) => (await failure(() => verify(output))).code

describe.each(formats)('an output of format %s', (format) => {
  const to = out(format)

  test('is found damaged by any byte that changed, in whatever file', async () => {
    await finished({
      ...plain,
      corpus,
      tokenizer,
      length: 32,
      holdout: 0.2,
      onBadRow: 'skip',
      incomplete: 'pad',
      output: { directory: to, format, shardTokens: 32 * 8 },
    })
    const random = randomNumbers(41)
    let changed = 0
    for (const name of Object.keys(filesOf(to))) {
      const path = join(to, name)
      const good = readFileSync(path)
      const places =
        good.length <= most ? [...good.keys()] : Array.from({ length: most }, () => Math.floor(random() * good.length))
      for (const at of places) {
        const bad = Buffer.from(good)
        bad[at] = (bad[at] ?? 0) ^ (1 << Math.floor(random() * 8))
        writeFileSync(path, bad)
        expect(['VERIFY_FAILED', 'FILE_CORRUPT'], `byte ${at} of ${name}`).toContain(await found(to))
        changed += 1
      }
      writeFileSync(path, good)
    }
    await verify(to)
    expect(changed).toBeGreaterThan(200)
    if (full) console.log(`${format}: ${changed} bytes changed`)
  }, 1_800_000)

  test('is found damaged where a file is cut, empty, missing, or none of its own', async () => {
    const copy = `${to}-copy`
    cpSync(to, copy, { recursive: true, filter: (path) => !/[/\\]\.\w+$|run\.json$/.test(path) })
    const report = await verify(copy)
    expect(report).toMatchObject({ holdout: { files: expect.any(Number) as number } })
    const names = Object.keys(filesOf(copy))
    expect(names).toEqual(
      expect.arrayContaining([
        'longweave.json',
        'SHA256SUMS',
        'README.md',
        'report.json',
        'rejects.jsonl',
        'holdout/longweave.json',
      ]),
    )
    for (const name of names) {
      const path = join(copy, name)
      const good = readFileSync(path)
      for (const bad of [
        good.subarray(0, -1),
        good.subarray(0, good.length / 2),
        Buffer.alloc(0),
        Buffer.concat([good, Buffer.from('\n')]),
      ]) {
        writeFileSync(path, bad)
        expect(['VERIFY_FAILED', 'FILE_CORRUPT'], `${name} of ${bad.length} bytes`).toContain(await found(copy))
      }
      rmSync(path)
      expect(await found(copy), name).toBe(name === 'longweave.json' ? 'OUTPUT_NOT_FOUND' : 'VERIFY_FAILED')
      writeFileSync(path, good)
    }
    for (const stranger of ['empty', '00099.parquet', 'holdout/empty', 'sub/folder/file']) {
      const path = join(copy, stranger)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, '')
      expect(await found(copy), stranger).toBe('VERIFY_FAILED')
      rmSync(path)
    }
    expect(await verify(copy)).toEqual(report)
    rmSync(join(copy, 'holdout'), { recursive: true })
    expect(await found(copy)).toBe('VERIFY_FAILED')
  })
})
