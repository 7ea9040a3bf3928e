// A run that is ended anywhere and run again gives, byte for byte, what an undisturbed run gives.
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { plan, verify } from '../ts/index.ts'
import type { Stage, RunOptions } from '../ts/index.ts'
import {
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
  states,
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
const around = config('around', 200, { splitBytes: 30_000, method: { name: 'iclm', variant: 'release' } })
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
  cli(['run', '--config', path, '--out', to], { env })
/** Starts a run that tells its events, and calls `when` at the first that holds `text`. */
function watched(
  to: string,
  text: string,
  when: (child: ReturnType<typeof node>['child']) => void,
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const args = ['run', '--config', large.path, '--out', to, '--json', '--threads', '1']
  const { child, ended } = node([join(root, 'dist/cli/main.js'), ...args], { env })
  let seen = false
  child.stdout?.on('data', (chunk: string) => {
    if (seen || !chunk.includes(text)) return
    seen = true
    when(child)
  })
  return ended
}

/** The stages of quest and of iclm, from runs that nothing disturbed, and what those made. */
let stages: Stage[]
let ofNeighbours: Stage[]
let expectedSmall: Record<string, string>
let expectedAround: Record<string, string>
let expectedLarge: Record<string, string>
beforeAll(async () => {
  const undisturbed = async ({ options }: typeof small, name: string) => {
    const { events } = await finished({ ...options, output: { ...options.output, directory: out(name) } })
    return Object.keys(states(events)) as Stage[]
  }
  stages = await undisturbed(small, 'small')
  ofNeighbours = await undisturbed(around, 'around')
  expect(stages).toContain('index')
  expect(ofNeighbours).toContain('neighbours')
  await undisturbed(large, 'large')
  expectedSmall = filesOf(out('small'))
  expectedAround = filesOf(out('around'))
  expectedLarge = filesOf(out('large'))
  expect(Object.keys(expectedSmall).length).toBeGreaterThan(12)
})

/** The first stage that is not complete. */
async function interrupted(to: string): Promise<Stage | undefined> {
  return existsSync(join(to, 'run.json'))
    ? (await tasks(to)).find(({ tasks: n, done }) => n !== done)?.stage
    : undefined
}

const failpoints = [
  ...['create', 'write', 'rename', 'done'].map((failpoint) => [failpoint, 'quest'] as const),
  ...(full ? ['create', 'rename', 'done'] : ['done']).map((failpoint) => [failpoint, 'iclm'] as const),
]

test.each(failpoints)(
  'a process that dies at any `%s` of any stage of %s leaves a run that goes on',
  async (failpoint, method) => {
    const [{ path }, expected, all] =
      method === 'quest' ? [small, expectedSmall, stages] : [around, expectedAround, ofNeighbours]
    const hit = new Set<Stage | undefined>()
    const step = full ? 1 : ({ create: 19, write: 17, rename: 18 }[failpoint] ?? 1)
    for (let n = 1; ; n += step) {
      const to = out(`${method}-${failpoint}-${n}`)
      const died = await run(path, to, { LONGWEAVE_FAILPOINT: `${failpoint}=abort@${n}` })
      if (died.status === 0) {
        expect(n, 'the failpoint must be met').toBeGreaterThan(step * 4)
        break
      }
      expect(died.signal, died.err).toBe('SIGABRT')
      hit.add(await interrupted(to))

      const { status, err } = await run(path, to)
      expect(status, err).toBe(0)
      expect(filesOf(to), `${failpoint} ${n}`).toEqual(expected)
    }
    if (failpoint === 'done') expect([...hit].toSorted()).toEqual(all.toSorted())
    else expect(hit.size).toBeGreaterThan(2)
  },
)

test('a process that dies at every write in turn, in one directory, still comes to the end', async () => {
  const to = out('again-and-again')
  let deaths = 0
  for (;;) {
    const { status, signal, err } = await run(small.path, to, { LONGWEAVE_FAILPOINT: 'rename=abort@25' })
    if (status === 0) break
    expect(signal, err).toBe('SIGABRT')
    deaths += 1
    expect(deaths).toBeLessThan(20)
  }
  expect(deaths).toBeGreaterThan(2)
  expect(filesOf(to)).toEqual(expectedSmall)
})

test.each(['full', 'denied'])(
  'a disk that is %s for a moment, at each stage, costs a second call and nothing else',
  async (action) => {
    for (let n = 2; n < 60; n += full ? 1 : 19) {
      const to = out(`${action}-${n}`)
      const { status, err } = await run(small.path, to, { LONGWEAVE_FAILPOINT: `write=${action}@${n}` })
      expect(status, err).toBe(1)
      expect(err).toMatch(action === 'full' ? /\[DISK_FULL\]/ : /\[OUTPUT_DENIED\]/)
      expect((await run(small.path, to)).status).toBe(0)
      expect(filesOf(to)).toEqual(expectedSmall)
    }
  },
)

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
    const again = await cli(['run', '--config', large.path, '--out', to, '--json'])
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

test('tasks of a stage run from several processes side by side, even the same ones, give the same bytes', async () => {
  const to = out('side-by-side')
  expect((await cli(['prepare', '--config', small.path, '--out', to])).status).toBe(0)
  for (const name of stages) {
    const selections = [['--all'], ['--shard', '1/2']]
    const ended = await Promise.all(selections.map((selection) => cli(['task', 'run', to, name, ...selection])))
    for (const { status, err } of ended) expect(status, err).toBe(0)
  }
  expect(filesOf(to)).toEqual(expectedSmall)
})

test('a stage task and a driver at once share the work', async () => {
  const to = out('shared')
  const options: RunOptions = { ...small.options, output: { ...small.options.output, directory: to } }
  await plan(options)
  expect((await cli(['task', 'run', to, 'route', '--all'])).status).toBe(0)
  const [driver, helper] = await Promise.all([run(small.path, to), cli(['task', 'run', to, 'pack', '--all'])])
  expect([driver.status, helper.status], driver.err + helper.err).toEqual([0, 0])
  expect(filesOf(to)).toEqual(expectedSmall)
})

test('results that vanish from the work directory are made again', async () => {
  const to = out('vanished')
  const options: RunOptions = { ...small.options, output: { ...small.options.output, directory: to } }
  await plan(options)
  const work = join(to, '.work')
  for (const name of readdirSync(work)) if (/^(ingest|index)-/.test(name)) rmSync(join(work, name), { recursive: true })
  await finished(options)
  expect(filesOf(to)).toEqual(expectedSmall)
  await verify(to)
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
