// A run that is ended at any moment and run again gives, byte for byte, what an undisturbed run gives. Death and errors at each
// write, of each stage: crates/api/tests/it/crash.rs.
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { plan, verify } from '../ts/index.ts'
import type { Stage, RunOptions } from '../ts/index.ts'
import {
  argv,
  cli,
  filesOf,
  finished,
  folder,
  full,
  heldAt,
  node,
  plain,
  randomCorpus,
  randomNumbers,
  root,
  tasks,
  wordTokenizer,
  writeJsonl,
} from './support.ts'
import type { Ended } from './support.ts'

const directory = folder()
const out = (name: string) => join(directory, name)
const tokenizer = wordTokenizer(directory)
/** Options as a config file: `small` runs in a moment and has several tasks in each stage, `large` takes a second or two. */
function config(
  name: string,
  documents: number,
  more: Partial<RunOptions>,
): { path: string; options: Omit<RunOptions, 'output'> & { output: object } } {
  const corpus = writeJsonl(out(`${name}.jsonl`), randomCorpus(4, documents, 60))
  const options = {
    ...plain,
    corpus: [corpus],
    tokenizer,
    length: 256,
    holdout: 0.1,
    ...more,
    output: { shardTokens: 256 * 12, ...more.output },
  }
  writeFileSync(out(`${name}.json`), JSON.stringify(options))
  return { path: out(`${name}.json`), options }
}
const small = config('small', 300, { splitBytes: 30_000, output: { format: 'mds' } })
const large = config('large', 30_000, { splitBytes: 400_000, output: { shardTokens: 1 << 16 } })
/** Wikipedia in simple English where the shared data are, else documents made here: a run of half a minute. */
function huge(): Partial<RunOptions> & { corpus: string; tokenizer: string; length: number } {
  const data = process.env['LONGWEAVE_DATA'] ?? join(root, '../shared/data')
  const wikipedia = join(data, 'simplewiki.jsonl.zst')
  if (!existsSync(wikipedia)) {
    return {
      ...plain,
      corpus: writeJsonl(out('huge.jsonl'), randomCorpus(5, 500_000, 120)),
      tokenizer,
      length: 2048,
      splitBytes: 4 << 20,
      output: { shardTokens: 1 << 20 },
    }
  }
  return {
    corpus: wikipedia,
    tokenizer: join(data, 'tokenizers/gpt2-tokenizer.json'),
    length: 2048,
    splitBytes: 4 << 20,
    output: { shardTokens: 1 << 20 },
  }
}
const run = (path: string, to: string, env: NodeJS.ProcessEnv = {}) =>
  cli(argv`run --config ${path} --out ${to}`, { env })
/** Starts a run that tells its events, and calls `when` at the first that holds `text`. */
function watched(
  to: string,
  text: string,
  when: (child: ReturnType<typeof node>['child']) => void,
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const args = argv`run --config ${large.path} --out ${to} --json --threads 1`
  const { child, ended } = node([join(root, 'dist/cli/main.js'), ...args], { env })
  let seen = false
  child.stdout?.on('data', (chunk: string) => {
    if (seen || !chunk.includes(text)) return
    seen = true
    when(child)
  })
  return ended
}

/** The files of runs that nothing disturbed. */
let expectedSmall: Record<string, string>
let expectedLarge: Record<string, string>
beforeAll(async () => {
  const undisturbed = async ({ options }: typeof small, name: string) => {
    await finished({ ...options, output: { ...options.output, directory: out(name) } })
    return filesOf(out(name))
  }
  expectedSmall = await undisturbed(small, 'small')
  expectedLarge = await undisturbed(large, 'large')
  expect(Object.keys(expectedSmall).length).toBeGreaterThan(12)
})

/** The first stage that is not complete. */
async function interrupted(to: string): Promise<Stage | undefined> {
  return existsSync(join(to, 'run.json'))
    ? (await tasks(to)).find(({ tasks: n, done }) => n !== done)?.stage
    : undefined
}

/**
 * Kills a run again and again, each time at a random moment of the work that is left, until it comes to its end; then another one, until there
 * were that many kills. Moments count from the first that it says, and of every tenth kill from its start. The stages in which it was killed.
 */
async function killed(
  name: string,
  path: string,
  expected: Record<string, string>,
  kills: number,
  seed: number,
): Promise<Map<Stage | undefined, number>> {
  const random = randomNumbers(seed)
  const start = (to: string) => {
    const { child, ended } = node([join(root, 'dist/cli/main.js'), 'run', '--config', path, '--out', to, '--json'])
    const began = new Promise<number>((resolve) => {
      child.stdout?.once('data', () => resolve(performance.now()))
      void ended.then(() => resolve(performance.now()))
    })
    return { child, ended, began }
  }
  const undisturbed = start(out(`${name}-undisturbed`))
  const begin = await undisturbed.began
  expect((await undisturbed.ended).status).toBe(0)
  const whole = performance.now() - begin
  rmSync(out(`${name}-undisturbed`), { recursive: true })
  const hit = new Map<Stage | undefined, number>()
  for (let chain = 0, n = 0; n < kills; chain += 1) {
    const to = out(`${name}-${chain}`)
    let last: Stage | undefined
    for (let left = whole; n < kills; n += 1) {
      const { child, ended, began } = start(to)
      if (n % 10 < 9) await began
      const worked = performance.now()
      const timer = setTimeout(() => child.kill('SIGKILL'), random() * left)
      const { signal, status, err } = await ended
      clearTimeout(timer)
      if (signal === null) {
        expect(status, err).toBe(0)
        break
      }
      const stage = await interrupted(to)
      hit.set(stage, (hit.get(stage) ?? 0) + 1)
      // A stage of one long task begins again each time: it is given the time to come to its end.
      left = stage === last ? whole : Math.max(whole / 5, left - (performance.now() - worked))
      last = stage
    }
    expect((await run(path, to)).status).toBe(0)
    expect(filesOf(to)).toEqual(expected)
    expect(readdirSync(to, { recursive: true }).filter((file) => String(file).endsWith('.part'))).toEqual([])
    rmSync(to, { recursive: true })
  }
  return hit
}

test(`killed ${full ? 200 : 5} times at any moment, runs come to the same bytes`, async () => {
  const hit = await killed('killed', large.path, expectedLarge, full ? 200 : 5, 11)
  expect([...hit.values()].reduce((sum, n) => sum + n)).toBe(full ? 200 : 5)
  if (full) {
    expect(hit.size).toBeGreaterThan(6)
    console.log('killed in', Object.fromEntries(hit))
  }
}, 3_600_000)

test.runIf(full)(
  'killed 20 times at any moment, a large run comes to the same bytes',
  async () => {
    const options = huge()
    await finished({ ...options, output: { ...options.output, directory: out('huge') } })
    // So little memory that the index is made on the disk, and every way round through it.
    writeFileSync(out('huge.json'), JSON.stringify({ ...options, memory: 48 << 20, packing: 'scatter' }))
    const hit = await killed('huge-killed', out('huge.json'), filesOf(out('huge')), 20, 12)
    expect(hit.size).toBeGreaterThan(2)
    console.log('killed in', Object.fromEntries(hit))
  },
  7_200_000,
)

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends a run with 130 long before its work is done, and the same command resumes it',
  async (signal) => {
    const to = out(signal)
    // Held where ingesting begins: all of it is still to be done when the signal comes.
    const { env, open } = heldAt('ingest', out(`${signal}.gate`))
    const stop = (child: ReturnType<typeof node>['child']) => {
      child.kill(signal)
      open()
    }
    const { status, err } = await watched(to, '"stage":"ingest"', stop, env)
    expect(status, err).toBe(130)
    expect(err).toContain('Run the same command again to resume')
    expect(await interrupted(to)).toBe('ingest')
    const again = await cli(argv`run --config ${large.path} --out ${to} --json`)
    expect(again.status).toBe(0)
    expect(again.out).toMatch(/"stage":"scan","state":"reused"/)
    expect(filesOf(to)).toEqual(expectedLarge)
  },
)

test('two drivers on one run: the second is told who holds it, the first is not disturbed', async () => {
  const to = out('locked')
  const { env, open } = heldAt('ingest', out('locked.gate'))
  let second: Promise<Ended> | undefined
  let pid = 0
  const holding = (child: ReturnType<typeof node>['child']) => {
    pid = child.pid ?? 0
    second = run(large.path, to).finally(open)
  }
  const first = await watched(to, '"stage":"ingest"', holding, env)
  const refused = await second
  expect(refused?.status).toBe(1)
  expect(refused?.err).toMatch(/\[RUN_LOCKED\]/)
  expect(refused?.err).toContain(`process ${pid}`)
  expect(first.status).toBe(0)
  expect(filesOf(to)).toEqual(expectedLarge)
})

test('a stage task and a driver at once share the work', async () => {
  const to = out('shared')
  const options: RunOptions = { ...small.options, output: { ...small.options.output, directory: to } }
  await plan(options)
  expect((await cli(argv`task run ${to} route --all`)).status).toBe(0)
  const [driver, helper] = await Promise.all([run(small.path, to), cli(argv`task run ${to} pack --all`)])
  expect([driver.status, helper.status], driver.err + helper.err).toEqual([0, 0])
  expect(filesOf(to)).toEqual(expectedSmall)
})

test('a finished output needs its work directory no more', async () => {
  const to = out('finished')
  const options: RunOptions = { ...small.options, output: { ...small.options.output, directory: to } }
  await finished(options)
  rmSync(join(to, '.work'), { recursive: true })
  await verify(to)
  await finished(options)
  expect(filesOf(to)).toEqual(expectedSmall)
})
