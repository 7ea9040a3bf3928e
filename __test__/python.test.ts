// packages/python: options resolved without Node are those of the command line, and its own tests pass. Both need Python 3, and are skipped without it.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LongweaveError, resolveOptions, version } from '../ts/index.ts'
import type { Options, ResolvedOptions } from '../ts/index.ts'
import { readConfig } from '../ts/cli/config.ts'
import { randomOptions } from './random-options.ts'
import { folder, full, parsed, root } from './support.ts'

const python = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 10))']).status === 0
const directory = folder()
const home = join(root, 'packages', 'python')

function run(...args: string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync('python3', ['-W', 'ignore::ResourceWarning', ...args], {
    cwd: home,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  return { status, out: stdout, err: stderr }
}

/** Options as the command line resolves those of a file; the path of the wrong one where it refuses them. */
function here(file: string): ResolvedOptions | string {
  try {
    const options = readConfig(file) as unknown as Options
    return resolveOptions({ ...options, corpus: options.corpus ?? [] })
  } catch (error) {
    if (!(error instanceof LongweaveError)) throw error
    return (error.details as { option?: string }).option ?? error.code
  }
}

/** The same for each file, by the Python package. */
function there(files: string[]): (ResolvedOptions | string)[] {
  const { status, out, err } = run('-m', 'longweave.options', ...files)
  expect(status, err).toBe(0)
  return parsed(out).map((line) => {
    if (!('code' in line)) return line as unknown as ResolvedOptions
    return ((line as { details: { option?: string } }).details.option ?? line['code']) as string
  })
}

function write(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

const least = { corpus: 'a.jsonl', tokenizer: 't.json', length: 64, output: { directory: 'out' } }
const examples: Record<string, object> = {
  least,
  'the preset': { ...least, preset: 'paper' },
  'the preset with another method': { ...least, preset: 'paper', method: 'knn' },
  'a method by its options': { ...least, method: { splitRatio: 0.5 } },
  'a corpus preset': { ...least, corpusPreset: 'dclm', textField: 'body' },
  sizes: {
    ...least,
    memory: '2G',
    splitBytes: '1.5 MiB',
    maxDocumentBytes: '1e3kB',
    output: { directory: 'out', mdsShardBytes: '64MB' },
  },
  'names and escapes': { ...least, corpusSkip: ['standard', 'x*'], textJoin: String.raw`\n\t-` },
  shares: { ...least, maxBadRows: '0.5%' },
  'a number of rows': { ...least, maxBadRows: '12' },
  'an engine, which is not an option': { ...least, engine: { name: 'ray' } },
}
const wrong: Record<string, object> = {
  'no corpus': { ...least, corpus: null },
  'no tokenizer': { corpus: 'a', length: 4, output: { directory: 'out' } },
  'no directory': { corpus: 'a', tokenizer: 't', length: 4 },
  'an unknown option': { ...least, lenght: 5 },
  'an unknown option of a section': { ...least, output: { directory: 'out', formt: 'mds' } },
  'an unknown method': { ...least, method: 'magic' },
  'an option of another method': { ...least, method: { name: 'standard', k: 3 } },
  'an unknown preset': { ...least, preset: 'papers' },
  'an unknown corpus preset': { ...least, corpusPreset: 'c5' },
  'a fraction': { ...least, length: 1.5 },
  'a text for a number': { ...least, length: '64' },
  'too small': { ...least, memory: '1MiB' },
  'no size': { ...least, memory: '2 gibibytes' },
  'a whole share': { ...least, maxBadRows: '100%' },
  'a share above 1': { ...least, maxBadRows: 1.5 },
  'a URL for a directory': { ...least, work: 's3://bucket/work' },
  'a pattern': { ...least, separator: 'token' },
  'a switch': { ...least, vectors: { tf32: 'yes' } },
  'a list of nothing': { ...least, corpus: [] },
}

test.skipIf(!python)('example options are resolved, or refused, as by the command line', () => {
  const names = [...Object.keys(examples), ...Object.keys(wrong)]
  const files = names.map((name) => write(`${name}.json`, JSON.stringify(examples[name] ?? wrong[name])))
  const [ours, theirs] = [
    files.map((file) => {
      const { engine: _, ...options } = readConfig(file)
      writeFileSync(file, JSON.stringify(options))
      return here(file)
    }),
    there(files),
  ]
  for (const [i, name] of names.entries()) expect({ name, options: theirs[i] }).toEqual({ name, options: ours[i] })
  expect(ours.map((found) => typeof found)).toEqual(names.map((name) => (name in wrong ? 'string' : 'object')))
})

const rounds = full ? 2000 : 200

test.skipIf(!python)(`${rounds} random options are resolved as by the command line, and once resolved stay so`, () => {
  const given = Array.from({ length: rounds }, (_, seed) => randomOptions(seed)).filter(
    ({ output }) => output?.format !== 'memory',
  )
  const files = given.map((options, i) => write(`random-${i}.json`, JSON.stringify(options)))
  const ours = files.map(here)
  const theirs = there(files)
  for (const [i, options] of given.entries()) expect(theirs[i], JSON.stringify(options)).toEqual(ours[i])
  const resolved = ours.filter((options) => typeof options === 'object')
  const again = resolved.map((options, i) => write(`again-${i}.json`, JSON.stringify(options)))
  expect(there(again)).toEqual(resolved)
})

test.skipIf(!python)('a file may have comments and trailing commas, and a mistake is shown at its place', () => {
  const text = `{ // a corpus\n "corpus": "a//b/*.jsonl", /* and,\n more */ "tokenizer": "t,]\\"}",\n "length": 64,\n "output": {"directory": "out",},\n}`
  const file = write('comments.json', text)
  expect(there([file])).toEqual([here(file)])
  expect(there([file])).toMatchObject([{ corpus: ['a//b/*.jsonl'], tokenizer: 't,]"}' }])
  const { out } = run('-m', 'longweave.options', write('broken.json', '{\n "corpus": }'), join(directory, 'none.json'))
  expect(out).toMatch(/broken\.json:2:12 is not JSON.*\n.*none\.json cannot be read/)
})

test('the versions of the packages are one', () => {
  expect(readFileSync(join(home, 'longweave', '__init__.py'), 'utf8')).toContain(`__version__ = "${version}"`)
})

test.skipIf(!python)('the tests of the Python package pass', () => {
  const { status, err } = run('-m', 'unittest', 'discover', '-s', 'tests')
  expect(status, err).toBe(0)
  expect(err).toMatch(/Ran \d+ tests/)
})
