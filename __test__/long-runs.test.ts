// Runs that take hours, with real processes: status, disk space, dry runs and cleaning.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { clean, dryRun, plan, prepare, status, stopRun, verify, show } from '../ts/index.ts'
import type { CleanReport, DryRun, ProgressEvent, RunStatus, Stage, StoppedDriver, RunOptions } from '../ts/index.ts'
import {
  argv,
  claiming,
  cli,
  failure,
  filesOf,
  finished,
  folder,
  heldAt,
  node,
  parsed,
  plain,
  questStages,
  randomCorpus,
  readColumns,
  root,
  states,
  topKeywords,
  wordTokenizer,
  writeJsonl,
} from './support.ts'
import type { Ended } from './support.ts'

const directory = folder()
const data = process.env['LONGWEAVE_DATA'] ?? join(root, '../shared/data')
const required = process.env['LONGWEAVE_REQUIRE_DATA'] === '1'
const reuters = join(data, 'reuters.jsonl.zst')
let names = 0
/** A path that no other test uses. */
const fresh = () => join(directory, `${(names += 1)}`)
const tokenizer = wordTokenizer(directory)
const corpus = writeJsonl(join(directory, 'corpus.jsonl'), randomCorpus(6, 300, 60))
const large = writeJsonl(join(directory, 'large.jsonl'), randomCorpus(7, 24_000, 60))
const options = (more: Partial<RunOptions> = {}): RunOptions => ({
  ...plain,
  corpus: [corpus],
  tokenizer,
  length: 256,
  splitBytes: 20_000,
  ...more,
  output: { directory: fresh(), shardTokens: 2048, ...more.output },
})
const outOf = (made: RunOptions) => String(made.output?.directory)
const config = (made: RunOptions) => {
  const path = fresh()
  writeFileSync(path, JSON.stringify(made))
  return ['--config', path]
}
/** The stages that have tasks where packing gathers. */
const stages = questStages.filter((stage) => stage !== 'scatter')
/** Those that leave something in the work directory, in the order of `left`. */
const kept = stages.filter((stage) => stage !== 'pack' && stage !== 'seal').toSorted()
type Line = Record<string, unknown> & { time: string; event: string; process: number }
const log = (out: string) => parsed<Line>(readFileSync(join(out, '.state/log.jsonl'), 'utf8'))
/** Everything below a directory, hidden files too: path, time of change, length. */
const everything = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true })
    .flatMap((entry) => {
      const below = join(path, entry.name)
      const { mtimeNs, size } = statSync(below, { bigint: true })
      return entry.isDirectory() ? everything(below) : [`${below} ${mtimeNs} ${size}`]
    })
    .toSorted()
const stageOf = (run: RunStatus, name: Stage) => run.stages.find(({ stage }) => stage === name)
/** A run in a process of its own that calls `when` at the first event that holds `text`, and waits for it before it is left alone. */
async function during(
  made: RunOptions,
  text: string,
  when: (child: ReturnType<typeof node>['child']) => unknown,
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const { child, ended } = node([join(root, 'dist/cli/main.js'), 'run', ...config(made), '--json'], { env })
  let seen: Promise<unknown> | undefined
  child.stdout?.on('data', (chunk: string) => {
    if (seen === undefined && chunk.includes(text)) seen = Promise.resolve(when(child))
  })
  const result = await ended
  await seen
  expect(seen, `${text} was never told: ${result.err}`).toBeDefined()
  return result
}

describe('stop', () => {
  test('ends a run that another process drives, which the same command resumes', async () => {
    const made = options()
    const out = outOf(made)
    const never = await cli(argv`stop ${out}`)
    expect([never.status, never.err]).toEqual([1, expect.stringContaining('[RUN_NOT_PREPARED]')])
    // A command that makes topics for a minute: only an interruption ends it earlier.
    const slow = { ...made, method: { name: 'topics' }, topics: { source: 'command', command: 'sleep 60' } } as const
    let stopped: Promise<Ended> | undefined
    const interrupted = await during(slow, '"stage":"topics"', () => (stopped = cli(argv`stop ${out} --json`)))
    expect([interrupted.status, (await stopped)?.status]).toEqual([130, 0])
    const driver = JSON.parse((await stopped)?.out ?? '') as StoppedDriver
    expect(driver).toEqual({ process: expect.any(Number) as number, host: hostname() })
    expect((await status(out)).state).toBe('interrupted')
    expect(await stopRun(out)).toBeNull()
    expect((await cli(argv`stop ${out}`)).out).toBe('no process drives the run\n')
    expect((await failure(() => stopRun(out, { waitSeconds: -1 }))).code).toBe('OPTIONS_INVALID')
  })
})

describe('status', () => {
  test('of a prepared run, a finished one and one that failed says so, in words and as JSON', async () => {
    const made = options()
    const out = outOf(made)
    expect((await failure(() => status(out))).code).toBe('RUN_NOT_PREPARED')
    await prepare(made)
    expect(await status(out)).toMatchObject({ state: 'prepared', driver: null, elapsedSeconds: 0, lastError: null })
    const failed = await cli(argv`run ${config(made)}`, { env: { LONGWEAVE_FAILPOINT: 'done=full@9' } })
    expect(failed.status).toBe(1)
    const after = await status(out)
    expect(after).toMatchObject({ state: 'failed', driver: null, lastError: { code: 'DISK_FULL' } })
    expect(after.stages.find(({ state }) => state !== 'done')).toMatchObject({ state: 'open', running: 0 })
    const said = (await cli(argv`status ${out}`)).out
    expect(said).toMatch(/^state {7}failed; .*the same command resumes it$/m)
    expect(said).toMatch(/^last error .*\[DISK_FULL\]$/m)
    await finished(made)
    const done = JSON.parse((await cli(argv`status ${out} --json`)).out) as RunStatus
    expect(done).toMatchObject({
      directory: out,
      state: 'finished',
      driver: null,
      etaSeconds: 0,
      method: 'quest',
      length: 256,
    })
    expect(done.stages.map(({ stage, tasks, done: n, state }) => [stage, tasks === n, state])).toEqual(
      questStages.map((stage) => [stage, true, 'done']),
    )
    for (const { unitsDone, unitsTotal } of done.stages) expect(unitsDone).toBe(unitsTotal)
    expect(stageOf(done, 'ingest')).toMatchObject({ unit: 'documents', unitsTotal: 300 })
    expect(done.disk.outputBytes).toBeGreaterThan(1000)
    expect(done.disk.workBytes).toBeGreaterThan(1000)
    expect(done.disk.workFreeBytes).toBeGreaterThan(0)
    expect((await cli(argv`status ${out}`)).out.split('\n').filter((line) => line.startsWith('✓')).length).toBe(
      questStages.length,
    )
  })

  test.each([{ name: 'knn' }, { name: 'nextlong', chunkChars: 40 }] as const)(
    'of $name counts vectors, in the stages that make and compare them',
    async (method) => {
      const made = options({ method })
      const { events } = await finished(made)
      const run = await status(outOf(made))
      for (const { unitsDone, unitsTotal } of run.stages) expect(unitsDone).toBe(unitsTotal)
      const total = stageOf(run, 'neighbours')?.unitsTotal ?? 0
      expect(
        run.stages.filter(({ unit }) => unit === 'vectors').map(({ stage, unitsTotal }) => [stage, unitsTotal]),
      ).toEqual([
        ['vectors', total],
        ['lists', 0], // so few are compared with each other
        ['neighbours', total],
      ])
      expect(method.name === 'knn' ? total === 300 : total > 300, `${total} vectors`).toBe(true)
      for (const event of events) if (event.type === 'progress') expect(event.done).toBeLessThanOrEqual(event.total)
    },
  )

  test('from another process while a driver works: its process, running tasks, units, and nothing is disturbed', async () => {
    const made = options({ corpus: [large], splitBytes: 300_000, threads: 1 })
    const out = outOf(made)
    const { env, open } = heldAt('ingest', fresh())
    let run: RunStatus | undefined
    let pid = 0
    const look = async (child: ReturnType<typeof node>['child']) => {
      pid = child.pid ?? 0
      while (run === undefined || stageOf(run, 'ingest')?.running !== 1)
        run = JSON.parse((await cli(argv`status ${out} --json`)).out) as RunStatus
      open()
    }
    const { status: code, err } = await during(made, '"stage":"ingest"', look, env)
    expect(code, err).toBe(0)
    expect(run).toMatchObject({ state: 'running', driver: { process: pid } })
    const ingest = run === undefined ? undefined : stageOf(run, 'ingest')
    expect(ingest).toMatchObject({ state: 'running', elsewhere: 0, unitsTotal: 24_000 })
    expect(ingest?.unitsDone).toBeLessThanOrEqual(24_000)
    expect(run?.stages.find(({ stage }) => stage === 'pack')).toMatchObject({
      state: 'waiting',
      tasks: null,
      etaSeconds: null,
    })
    expect(await status(out)).toMatchObject({ state: 'finished', lastError: null })
    expect(readdirSync(join(out, '.state/progress'))).toEqual([])
    await verify(out)
  })

  test('of a run that was killed says so, and that the tasks it held are nobody’s; it writes nothing', async () => {
    const made = options({ corpus: [large], splitBytes: 300_000 })
    const out = outOf(made)
    const { signal } = await during(
      made,
      '"stage":"ingest"',
      (child) => child.kill('SIGKILL'),
      heldAt('ingest', fresh()).env,
    )
    expect(signal).toBe('SIGKILL')
    const before = everything(out)
    const run = await status(out)
    expect(run).toMatchObject({ state: 'killed', driver: null })
    expect(stageOf(run, 'scan')).toMatchObject({ state: 'done' })
    expect(stageOf(run, 'ingest')).toMatchObject({ state: 'open', running: 0 })
    expect(everything(out)).toEqual(before)
    const again = await finished(made)
    expect(states(again.events)['scan']).toBe('reused')
    expect(await status(out)).toMatchObject({ state: 'finished' })
  })

  test('of tasks handed out one by one: what is done, by its log how fast, and who runs now', async () => {
    const made = options({ corpus: [large], splitBytes: 300_000 })
    const out = outOf(made)
    await prepare(made)
    expect((await cli(argv`task run ${out} scan --all`)).status).toBe(0)
    expect((await cli(argv`task run ${out} ingest --task 0..3`)).status).toBe(0)
    const stopped = await status(out)
    expect(stopped).toMatchObject({ state: 'stopped', driver: null, etaSeconds: null })
    const ingest = stageOf(stopped, 'ingest')
    expect(ingest).toMatchObject({ state: 'open', done: 3, running: 0 })
    expect(ingest?.rate).toBeGreaterThan(0)
    expect(ingest?.etaSeconds).toBeGreaterThan(0)
    expect(ingest?.unitsDone).toBeGreaterThan(0)
    const { env, open } = heldAt('ingest', fresh())
    const ended = cli(argv`task run ${out} ingest --all --threads 1`, { env })
    let running: RunStatus | undefined
    while (running === undefined || stageOf(running, 'ingest')?.running !== 1) running = await status(out)
    open()
    expect(running).toMatchObject({ state: 'running', driver: null })
    expect((await ended).status).toBe(0)
    expect(stageOf(await status(out), 'ingest')).toMatchObject({ state: 'done', running: 0 })
  })

  test('a lease of another machine counts as held elsewhere, one of a dead process as free', async () => {
    const made = options()
    const out = outOf(made)
    await prepare(made)
    const { stages: list } = await status(out)
    expect(list[0]).toMatchObject({ stage: 'scan', done: 0, running: 0, elsewhere: 0 })
    expect((await cli(argv`task run ${out} scan --task 0`)).status).toBe(0)
    const work = join(out, '.work')
    const lease = join(work, readdirSync(work).find((name) => name.startsWith('scan-')) ?? '', 'lease')
    writeFileSync(join(lease, '00001'), 'process 7 on a-machine-far-away')
    writeFileSync(join(lease, '00002'), `process ${2 ** 22 + 1} on ${hostname()}`)
    expect((await status(out)).stages[0]).toMatchObject({ done: 1, running: 0, elsewhere: 1 })
    expect((await cli(argv`status ${out}`)).out).toMatch(/scan +1 of \d+, 1 held elsewhere/)
  })

  test('--watch looks again until nobody works on the run', async () => {
    const made = options({ corpus: [large], splitBytes: 300_000 })
    let watched: Promise<Ended> | undefined
    await during(made, '"stage":"scan"', () => {
      watched = cli(argv`status ${outOf(made)} --watch --interval 1 --json`)
    })
    const looks = parsed<RunStatus>((await watched)?.out ?? '').map(({ state }) => state)
    expect(looks.at(-1)).toBe('finished')
    expect(looks.slice(0, -1).every((state) => state === 'running')).toBe(true)
  })
})

describe('time left', () => {
  test('is told by stage from the rate so far, and of a run that goes on for what is left alone', async () => {
    const made = options({ corpus: [large], splitBytes: 300_000, threads: 1 })
    const { events } = await finished(made)
    const progress = events.filter((event): event is ProgressEvent => event.type === 'progress')
    for (const { done, total, etaSeconds, stage } of progress) {
      if (etaSeconds !== null)
        expect(etaSeconds >= 0 && Number.isFinite(etaSeconds), `${stage} ${done} ${total}`).toBe(true)
      if (etaSeconds !== null && done === total) expect(etaSeconds).toBe(0)
    }
    // One task tells nothing of a rate before it is done.
    expect(
      progress.filter(({ total, done }) => total === 1 && done === 0).every(({ etaSeconds }) => etaSeconds === null),
    ).toBe(true)
    const work = join(outOf(made), '.work')
    const ingest = join(work, readdirSync(work).find((name) => name.startsWith('ingest-')) ?? '')
    const records = readdirSync(join(ingest, 'done'))
    rmSync(join(ingest, 'done', records[0] ?? ''))
    const again = await finished(made)
    const totals = again.events.flatMap((event) =>
      event.type === 'progress' && event.stage === 'ingest' ? [event.total] : [],
    )
    expect(Math.max(...totals)).toBeLessThan(24_000 / (records.length - 1))
  })
})

describe('the log', () => {
  test('tells of stages and tasks, what they took and left, with versions and options, and is no part of the output', async () => {
    const made = options()
    const out = outOf(made)
    await finished(made)
    const lines = log(out)
    for (const { time } of lines) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(lines.map(({ time }) => time)).toEqual(lines.map(({ time }) => time).toSorted())
    expect(lines[0]).toMatchObject({ event: 'run', mode: 'run', threads: 2, process: process.pid })
    expect(lines[0]?.['options']).toMatch(/^[0-9a-f]{16}$/)
    expect(lines.at(-1)).toMatchObject({ event: 'end', outcome: 'done' })
    const ended = lines.filter(({ event, state }) => event === 'stage' && state === 'done')
    expect(ended.map(({ stage }) => stage)).toEqual(stages)
    for (const line of ended) {
      expect(line['seconds']).toBeGreaterThan(0)
      for (const name of ['peakBytes', 'stagePeakBytes', 'readBytes', 'writtenBytes']) {
        if (process.platform === 'linux') expect(line[name], `${String(line['stage'])} ${name}`).toBeGreaterThan(0)
        else expect(line[name]).toBeNull()
      }
    }
    const tasks = lines.filter(({ event, state, stage }) => event === 'task' && state === 'done' && stage === 'ingest')
    expect(tasks.map(({ task }) => task).toSorted()).toEqual(
      readdirSync(
        join(out, '.work', readdirSync(join(out, '.work')).find((name) => name.startsWith('ingest-')) ?? '', 'done'),
      )
        .map((name) => Number.parseInt(name, 10))
        .toSorted(),
    )
    for (const { bytes } of tasks) expect(bytes).toBeGreaterThan(0)
    await finished(made)
    expect(
      log(out)
        .filter(({ event, state }) => event === 'stage' && state === 'reused')
        .map(({ stage }) => stage),
    ).toEqual(stages)
    expect(readFileSync(join(out, 'SHA256SUMS'), 'utf8')).not.toContain('log')
    const moved = fresh()
    renameSync(out, moved)
    await verify(moved)
    expect(await status(moved)).toMatchObject({ state: 'finished' })
  })

  test('holds errors with their code and warnings, and nothing of a document', async () => {
    const secret = 'w1 nobody-may-read-this w2'
    const rows = randomCorpus(8, 40, 20).map((row, i) => ({ ...row, text: i === 3 ? 7 : `${row.text} ${secret}` }))
    const made = options({ corpus: [writeJsonl(`${fresh()}.jsonl`, rows)], splitBytes: 1000 })
    expect((await failure(() => finished(made))).code).toBe('BAD_ROW')
    const lines = log(outOf(made))
    expect(lines.find(({ event }) => event === 'error')).toMatchObject({ code: 'BAD_ROW' })
    expect(lines.at(-1)).toMatchObject({ event: 'end', outcome: 'failed' })
    expect(
      lines.filter(({ event, state }) => event === 'task' && state === 'failed').map(({ code }) => code),
    ).toContain('BAD_ROW')
    const { summary } = await finished({ ...made, onBadRow: 'skip', output: { ...made.output, directory: fresh() } })
    expect(summary.warnings.length).toBeGreaterThan(0)
    expect(readFileSync(join(outOf(made), '.state/log.jsonl'), 'utf8')).not.toContain('nobody-may-read-this')
  })

  test('a line cut short, by a full disk say, spoils no other', async () => {
    const made = options()
    await prepare(made)
    appendFileSync(join(outOf(made), '.state/log.jsonl'), '{"time":"2026')
    await finished(made)
    expect(await status(outOf(made))).toMatchObject({ state: 'finished' })
  })
})

/** A run over a folder of texts, the last of which claims to hold eight terabytes without taking that room; it is too large a document. */
function huge(): RunOptions {
  return options({
    corpus: [claiming(fresh(), randomCorpus(9, 30, 60), 8e12)],
    idField: null,
    queryField: null,
    queries: {},
    method: 'standard',
    length: 64,
    onBadRow: 'skip',
  })
}

describe('room on the disk', () => {
  test('a run that cannot fit is refused before it begins: how much, where, what to do', async () => {
    const made = huge()
    const error = await failure(() => finished(made))
    expect(error.code).toBe('DISK_SPACE')
    for (const part of ['TB in', outOf(made), 'free', '--work', 'output.compression', 'longweave clean', 'diskCheck'])
      expect(error.message).toContain(part)
    expect(error.details).toMatchObject({ option: 'diskCheck', directory: join(outOf(made), '.work') })
    expect(error.details['workBytes']).toBeGreaterThan(error.details['workFreeBytes'] as number)
    expect(existsSync(join(outOf(made), '.work', 'VERSION'))).toBe(true)
    expect(log(outOf(made)).find(({ event }) => event === 'error')).toMatchObject({ code: 'DISK_SPACE' })
    expect(log(outOf(made)).some(({ event }) => event === 'stage')).toBe(false)
  })

  test('with `warn` it says so and begins; with `off` nobody looks', async () => {
    for (const [diskCheck, expected] of [
      ['warn', true],
      ['off', false],
    ] as const) {
      const { events, summary } = await finished({ ...huge(), diskCheck })
      expect(
        events.some((event) => event.type === 'warning' && event.message.includes('the disk will fill up')),
        diskCheck,
      ).toBe(expected)
      expect(summary.corpus).toMatchObject({ documents: 30, rejected: 1 })
    }
  })
})

/** That an estimate is within a factor of what came out. */
function near(estimate: number | null | undefined, real: number, factor: number): void {
  expect(estimate).toBeGreaterThan(real / factor)
  expect(estimate).toBeLessThan(real * factor)
}

describe('a dry run', () => {
  test('says what a run would do and writes nothing at all', async () => {
    const made = options()
    const out = outOf(made)
    const before = readdirSync(directory)
    const dry = await dryRun(made)
    expect(readdirSync(directory)).toEqual(before)
    expect(dry).toMatchObject({
      directory: out,
      work: join(out, '.work'),
      corpus: { files: 1 },
      facts: { counted: false },
      options: { length: 256, seed: 0 },
    })
    expect(dry.stages.map(({ stage, done }) => [stage, done])).toEqual(questStages.map((stage) => [stage, 0]))
    expect(dry.stages.find(({ stage }) => stage === 'scan')?.tasks).toBeGreaterThan(2)
    expect(dry.stages.find(({ stage }) => stage === 'pack')?.tasks).toBeNull()
    expect(dry.disk?.fits).toBe(true)
    expect(dry.unknown.join()).toContain('sample')
    await plan(made)
    const tree = everything(out)
    const planned = await dryRun(made)
    expect(everything(out)).toEqual(tree)
    expect(planned.facts).toMatchObject({ counted: true, rows: 300 })
    expect(planned.stages.filter(({ tasks, done }) => tasks === done).map(({ stage }) => stage)).toEqual(
      stages.slice(0, stages.indexOf('plan') + 1),
    )
    expect(planned.stages.find(({ stage }) => stage === 'pack')?.tasks).toBeGreaterThan(0)
    // Another length shares what is before the plan.
    const other = await dryRun({ ...made, length: 128, work: join(out, '.work'), output: { directory: fresh() } })
    expect(other.stages.find(({ stage }) => stage === 'index')).toMatchObject({ tasks: 1, done: 1 })
    expect(other.stages.find(({ stage }) => stage === 'plan')).toMatchObject({ done: 0 })
  })

  test.each(['plain', 'gzip'])(
    'knows about how much there is of documents so large that their lines are not kept, and of such that are too large (%s)',
    async (packing) => {
      const text = 'w7 '.repeat(2 << 20)
      const path = writeJsonl(
        `${fresh()}.jsonl`,
        Array.from({ length: 8 }, (_, i) => ({ id: `${i}`, text: i % 2 === 0 ? text : `${text}${text}` })),
      )
      if (packing === 'gzip') writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 1 }))
      const dry = await dryRun(
        options({
          corpus: [packing === 'gzip' ? `${path}.gz` : path],
          splitBytes: 64 << 20,
          maxDocumentBytes: 8 << 20,
          onBadRow: 'skip',
        }),
      )
      const { rows, textBytes } = dry.facts ?? { rows: 0, textBytes: 0 }
      expect(rows > 3 && rows < 20, `${rows} rows`).toBe(true)
      expect(textBytes > 2 * text.length && textBytes < 24 * text.length, `${textBytes} bytes`).toBe(true)
    },
  )

  test('is refused as the run would be, but not for want of room, which it tells', async () => {
    expect((await failure(() => dryRun(options({ corpus: [fresh()] })))).code).toBe('INPUT_NOT_FOUND')
    const made = options()
    await prepare(made)
    expect((await failure(() => dryRun({ ...made, length: 32 }))).code).toBe('RUN_MISMATCH')
    const dry = await dryRun(huge())
    expect(dry.disk?.fits).toBe(false)
    expect(dry.facts?.textBytes).toBeGreaterThan(1e12)
  })

  test('asks for no document that is handed over, and says what cannot be known', async () => {
    let asked = false
    async function* documents() {
      asked = true
      yield { text: 'w1' }
    }
    const dry = await dryRun({
      corpus: documents(),
      tokenizer,
      length: 8,
      method: 'standard',
      output: { directory: fresh() },
    })
    expect(asked).toBe(false)
    expect(dry).toMatchObject({ corpus: null, facts: null, disk: null })
    expect(dry.stages.every(({ tasks }) => tasks === null)).toBe(true)
    expect(dry.unknown.join()).toContain('pushed')
  })

  test('run --dry-run prints it for a person, and as JSON', async () => {
    const made = options()
    const args = argv`run ${config(made)} --dry-run`
    const { status: code, out: said, err } = await cli(args)
    expect([code, err]).toEqual([0, ''])
    for (const part of [
      'quest, 256 tokens',
      '1 file',
      'stage',
      'ingest',
      'left to write to',
      'free',
      'memory',
      'nothing was written',
      '--length 256',
    ])
      expect(said).toContain(part)
    const json = JSON.parse((await cli(argv`${args} --json`)).out) as DryRun
    expect(json).toMatchObject({ directory: outOf(made), corpus: { files: 1 } })
    expect(existsSync(outOf(made))).toBe(false)
  })

  // Before the run within a factor of 1.5 of what real texts leave, packed files included; once the plan is made within 1.25.
  test.skipIf(!existsSync(reuters) && !required).each([
    ['standard', 'jsonl', 2048],
    ['quest', 'parquet', 4096],
    ['knn', 'mds', 2048],
  ] as const)('its bytes of real texts come close to what a run leaves: %s, %s', async (method, format, length) => {
    const made: RunOptions = {
      corpus: reuters,
      idField: 'id',
      tokenizer: join(data, 'tokenizers/gpt2-tokenizer.json'),
      method,
      length,
      output: { directory: fresh(), format },
    }
    const before = await dryRun(made)
    await plan(made)
    const refined = await dryRun(made)
    const { summary } = await finished(made)
    const { disk } = await status(outOf(made))
    near(before.facts?.textBytes, summary.corpus?.bytes ?? 0, 1.1)
    near(before.disk?.work.bytes, disk.workBytes, 1.5)
    near(before.disk?.output.bytes, disk.outputBytes, 1.5)
    near(refined.disk?.output.bytes, disk.outputBytes, 1.25)
  })

  test('its bytes come close to what a run leaves', async () => {
    const made = options({ corpus: [large], splitBytes: 300_000, output: { shardTokens: 1 << 20 } })
    const before = await dryRun(made)
    await plan(made)
    const refined = await dryRun(made)
    await finished(made)
    const { disk, stages: after } = await status(outOf(made))
    const ingest = after.find(({ stage }) => stage === 'ingest')
    expect(ingest?.unitsTotal).toBe(24_000)
    near(before.facts?.rows, 24_000, 1.1)
    near(before.facts?.tokens, refined.facts?.tokens ?? 0, 1.1)
    near(before.disk?.work.bytes, disk.workBytes, 2)
    const packed = Object.entries(filesOf(outOf(made))).length
    expect(packed).toBeGreaterThan(1)
    near(refined.disk?.output.bytes, disk.outputBytes, 2)
  })
})

/** Stages that have a directory in a work directory. */
const left = (work: string) =>
  readdirSync(work)
    .filter((name) => /-[0-9a-f]{16}$/.test(name))
    .map((name) => name.replace(/-.*/, ''))
    .toSorted()

describe('cleaning', () => {
  let expected: Record<string, string>
  beforeAll(async () => {
    const made = options()
    await finished(made)
    expected = filesOf(outOf(made))
  })

  test('a run with `clean: sealed` leaves its output alone, which verifies, reads, and is not made again', async () => {
    const made = options({ clean: 'sealed' })
    const out = outOf(made)
    const first = await finished(made)
    expect(left(join(out, '.work'))).toEqual([])
    expect(filesOf(out)).toEqual(expected)
    await verify(out)
    expect((await readColumns(out)).length).toBe(first.summary.plan?.sequences)
    const again = await finished(made)
    expect(Object.values(states(again.events))).toEqual(stages.map(() => 'reused'))
    expect({ ...again.summary, seconds: 0 }).toEqual({ ...first.summary, seconds: 0 })
    expect(await status(out)).toMatchObject({ state: 'finished' })
    expect((await dryRun(made)).stages.every(({ tasks, done }) => tasks === done)).toBe(true)
    expect((await show(out, 0)).pieces.length).toBeGreaterThan(0)
    const error = await failure(() => show(out, 0, { why: true }))
    expect([error.code, error.message.includes('deleted the results of stage')]).toEqual(['STAGE_NOT_READY', true])
    expect((await failure(() => topKeywords(out))).code).toBe('STAGE_NOT_READY')
  })

  test('what another run has made since in a shared work directory is not the cleaned run’s to remove', async () => {
    const work = fresh()
    const one = options({ work, clean: 'sealed' })
    await finished(one)
    await finished(options({ work, length: 128 }))
    const before = left(work)
    expect(before).toContain('ingest')
    await finished(one)
    expect(left(work)).toEqual(before)
  })

  test('where a file of the cleaned output is gone, everything is made again, to the same bytes', async () => {
    const made = options({ clean: 'sealed' })
    await finished(made)
    rmSync(join(outOf(made), '00001.parquet'))
    const again = await finished(made)
    expect(states(again.events)['scan']).toBe('done')
    expect(filesOf(outOf(made))).toEqual(expected)
    expect(left(join(outOf(made), '.work'))).toEqual([])
  })

  test('documents that were handed over are cleaned with the rest, and handed over again they are not woven again', async () => {
    const documents = randomCorpus(6, 300, 60).map(({ id, text, query }) => ({ id, text, queries: query }))
    const made = options({ corpus: documents, clean: 'sealed' })
    await finished(made)
    expect(existsSync(join(outOf(made), '.work/spool'))).toBe(false)
    const again = await finished(made)
    expect(Object.values(states(again.events))).toEqual(stages.map(() => 'reused'))
  })

  test('a run that is killed while it cleans goes on with it', async () => {
    const made = options({ clean: 'sealed' })
    const renaming = async (n: number) => {
      const out = fresh()
      const args = argv`run ${config({ ...made, output: { ...made.output, directory: out } })}`
      return { to: out, args, ...(await cli(args, { env: { LONGWEAVE_FAILPOINT: `rename=abort@${n}` } })) }
    }
    // The last files that a run puts in place are the records that stay of what it cleans.
    let [dies, lives] = [1, 1024]
    while (lives - dies > 1) {
      const n = Math.floor((dies + lives) / 2)
      if ((await renaming(n)).status === 0) lives = n
      else dies = n
    }
    let inside = 0
    for (let n = dies; n > dies - 10; n -= 1) {
      const { to, args, signal } = await renaming(n)
      expect(signal).toBe('SIGABRT')
      if (existsSync(join(to, 'SHA256SUMS'))) inside += 1
      expect((await cli(args)).status).toBe(0)
      expect(left(join(to, '.work'))).toEqual([])
      expect(filesOf(to)).toEqual(expected)
    }
    expect(inside).toBeGreaterThan(4)
  })

  test('what another run is working with stays, and goes when the other is done', async () => {
    const work = fresh()
    const shared: Partial<RunOptions> = { corpus: [large], splitBytes: 300_000, work }
    const one = options({ ...shared, clean: 'sealed' })
    const two = options({ ...shared, length: 128 })
    await plan(one)
    let warnings: string[] = []
    const { env, open } = heldAt('pack', fresh())
    const working = async () => {
      warnings = (await finished(one)).events.flatMap((event) => (event.type === 'warning' ? [event.message] : []))
      open()
    }
    const { status: code, err } = await during(two, '"stage":"pack"', working, env)
    expect(code, err).toBe(0)
    expect(
      warnings.filter((message) => message.includes(`the run in ${outOf(two)} is working with it`)).length,
    ).toBeGreaterThan(3)
    expect(left(work)).toContain('ingest')
    await verify(outOf(two))
    await finished(one)
    // Of the other run only what is its own is left.
    expect(left(work)).toEqual(['plan', 'report', 'route'])
  })

  test('the command removes what no run that is named refers to, and says how much', async () => {
    const work = fresh()
    const [one, two] = [options({ work }), options({ work, length: 128 })]
    await finished(one)
    await finished(two)
    expect(left(work)).toEqual([...kept, 'plan', 'report', 'route'].toSorted())
    mkdirSync(join(work, 'my-notes'))
    const before = everything(work).filter((line) => !line.includes('/runs/'))
    const dry = await cli(argv`clean ${work} --keep ${outOf(one)} --dry-run`)
    expect(dry.out).toMatch(
      /would be deleted, made in [^\n]*\n(.|\n)*kept for [^\n]*\n(.|\n)*would be deleted, .* kept\n$/,
    )
    expect(everything(work).filter((line) => !line.includes('/runs/'))).toEqual(before)
    const json = JSON.parse((await cli(argv`clean ${work} --keep ${outOf(one)} --json`)).out) as CleanReport
    expect(json.directories.filter(({ removed }) => removed).map(({ name }) => name.replace(/-.*/, ''))).toEqual([
      'plan',
      'report',
      'route',
    ])
    expect(json.removedBytes).toBe(
      json.directories.filter(({ removed }) => removed).reduce((sum, { bytes }) => sum + bytes, 0),
    )
    expect(json.removedBytes).toBeGreaterThan(0)
    expect(left(work)).toEqual(kept)
    const rest = await clean(work, { all: true })
    expect(rest.keptBytes).toBe(0)
    expect(left(work)).toEqual([])
    expect(existsSync(join(work, 'my-notes'))).toBe(true)
    await verify(outOf(one))
    expect((await failure(() => clean(directory, { all: true }))).code).toBe('INPUT_NOT_FOUND')
    expect((await failure(() => clean(work, { keep: [fresh()] }))).code).toBe('RUN_NOT_PREPARED')
  })
})
