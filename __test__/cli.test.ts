// The command line as a person and a script meet it.
import { spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { bytes } from '../ts/bytes.ts'
import type { Command } from '../ts/cli/command.ts'
import { allCommands, commandNames } from '../ts/cli/commands.ts'
import { flags } from '../ts/cli/flags.ts'
import { toOptions } from '../ts/cli/given.ts'
import { Counter, INTERVAL, reporter } from '../ts/cli/progress.ts'
import type { Surroundings } from '../ts/cli/progress.ts'
import { commandHelp, familyHelp, firstScreen, overview, topicsOf } from '../ts/cli/help.ts'
import type { HelpPart } from '../ts/cli/help.ts'
import { withFlags } from '../ts/cli/wording.ts'
import { engineSchema } from '../ts/schema.ts'
import { clean, optionsJsonSchema, presets, readSequences, resolveOptions } from '../ts/index.ts'
import type { CleanReport, ShownPiece, ShownSequence, Summary } from '../ts/index.ts'
import { hostile, madeReport, writeReport } from './reports.ts'
import {
  argv,
  cli,
  failure,
  filesOf,
  folder,
  parsed,
  plain,
  questStages,
  randomCorpus,
  wordTokenizer,
  writeJsonl,
} from './support.ts'

const directory = folder()
const out = (name: string) => join(directory, name)
const tokenizer = wordTokenizer(directory)
const documents = randomCorpus(5, 80, 40)
const corpus = writeJsonl(out('corpus.jsonl'), documents)
const options = { ...plain, corpus, tokenizer, length: 64, splitBytes: 4000 }
writeFileSync(out('config.json'), JSON.stringify({ ...options, output: { shardTokens: 64 * 8 } }))
const config = ['--config', out('config.json')]
const commands = Object.fromEntries((await allCommands()).map((command) => [command.name, command]))
const names = Object.keys(commands)

test('each command is loaded by its own name', () => {
  expect(names).toEqual(commandNames)
})
const flat = (text: string) => text.replaceAll(/\s+/g, ' ')
/** Flags that a help page lists. */
const count = (page: string) => page.match(/^ {2}--/gm)?.length ?? 0

beforeAll(async () => {
  const { status, err } = await cli(argv`run ${config} --out ${out('made')}`)
  expect(status, err).toBe(0)
})

test('without a command it leads to a first run in 20 lines, and that is wrong usage; help lists every command and is not', async () => {
  const [bare, help, flag] = await Promise.all([cli([]), cli(['help']), cli(['--help'])])
  expect([bare.status, help.status, flag.status]).toEqual([2, 0, 0])
  expect(bare.out.trimEnd().split('\n').length).toBeLessThanOrEqual(20)
  const first = ['longweave run --corpus', 'longweave show out', 'longweave verify out', 'longweave help run']
  const places = first.map((part) => bare.out.indexOf(part))
  expect(places).toEqual(places.toSorted((x, y) => x - y))
  expect(Math.min(...places)).toBeGreaterThan(0)
  expect(help.out).toBe(flag.out)
  for (const command of names) expect(help.out).toMatch(new RegExp(`^  ${command} `, 'm'))
  expect(help.out).toContain('Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted')
})

test('--version is the package’s', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect(await cli(['--version'])).toMatchObject({ status: 0, out: `${version}\n` })
})

test.each(names)('help %s has usage, flags and an example that begins as one types it', async (command) => {
  const words = command.split(' ')
  const [help, flag] = await Promise.all([cli(argv`help ${words}`), cli(argv`${words} --help`)])
  expect(help).toMatchObject({ status: 0, err: '' })
  expect(flag.out).toBe(help.out)
  expect(help.out).toContain(`Usage: longweave ${command}`)
  for (const { name } of commands[command]?.positionals ?? []) expect(help.out).toMatch(new RegExp(`^  ${name} `, 'm'))
  for (const name of Object.keys(commands[command]?.flags ?? {}))
    expect(help.out).toMatch(new RegExp(`^  --${name}( |$)`, 'm'))
  expect(help.out).toMatch(new RegExp(`Examples\n.*longweave ${command}`, 's'))
})

test('no line of any help is longer than 80 columns', () => {
  const pages = [
    firstScreen(),
    overview(Object.values(commands)),
    familyHelp(Object.values(commands).filter(({ name }) => name.startsWith('task '))),
    ...Object.values(commands).flatMap((command) =>
      (['common', 'all', ...topicsOf(command)] as HelpPart[]).map((part) => commandHelp(command, part)),
    ),
  ]
  expect(pages.length).toBeGreaterThan(2 * names.length)
  const long = pages.flatMap((page) => page.split('\n')).filter((line) => [...line].length > 80)
  expect(long).toEqual([])
})

const least = { corpus: 'a', tokenizer: 't', length: 1, output: { directory: 'o' } }

/** Options of a run with each method: every leaf with its default, by path. */
function resolvedLeaves(): Map<string, unknown> {
  const leaves = new Map<string, unknown>()
  for (const method of ['topics', 'interleave', 'nextlong', 'long', 'iclm', 'knn', 'standard', 'quest'] as const) {
    for (const [section, value] of Object.entries(resolveOptions({ ...least, method })))
      if (typeof value === 'object' && value !== null && !Array.isArray(value) && section !== 'sources')
        for (const [name, below] of Object.entries(value as object)) leaves.set(`${section}.${name}`, below)
      else leaves.set(section, value)
  }
  for (const [name, value] of Object.entries(engineSchema.parse({ name: 'ray' })))
    leaves.set(`engine.${name}`, name === 'name' ? null : value)
  return leaves
}

test('every option is a flag of its own that sets it, in one topic of help run, in --all and in docs/options.md, with what it does, when to change it and its default', () => {
  const list = flags()
  const run = commands['run'] as Command
  const leaves = resolvedLeaves()
  expect(list.map(({ path }) => path.join('.')).toSorted()).toEqual([...leaves.keys()].toSorted())
  // No two flags, nor a flag and the opposite of a switch, nor a flag of the command itself, have one name.
  const all = [
    ...list.flatMap(({ name, kind }) => (kind === 'switch' ? [name, `no-${name}`] : [name])),
    ...new Set([...Object.keys(run.flags), ...Object.keys(commands['plan']?.flags ?? {}), 'help']),
  ]
  expect(all.length).toBe(new Set(all).size)
  const page = commandHelp(run, 'all')
  const docs = readFileSync(new URL('../docs/options.md', import.meta.url), 'utf8')
  const required = new Set(['corpus', 'tokenizer', 'length'])
  const given = new Map<string, unknown>([['output.directory', null]])
  for (const flag of list) {
    const option = flag.path.join('.')
    const value = flag.kind === 'switch' ? true : flag.kind === 'list' ? ['x'] : flag.kind === 'number' ? '1' : 'x'
    const set = toOptions({ [flag.name]: value }, list)
    const at = flag.path.reduce<unknown>((tree, key) => (tree as Record<string, unknown>)[key], set)
    expect(at, option).toEqual(flag.kind === 'switch' ? flag.on : flag.kind === 'number' ? 1 : value)
    expect(flag.description, option).toMatch(/^\S.{15,}\.$/)
    expect(flag.when, option).toMatch(/^[A-Z].{10,}\.$/)
    const topics = topicsOf(run).filter((topic) => commandHelp(run, topic).includes(`\n  --${flag.name}`))
    expect(topics, option).toContain(flag.section)
    const row = docs.split('\n').find((line) => line.startsWith(`| \`${option}\` |`)) ?? ''
    expect(row, option).toContain(`\`--${flag.name}\``)
    expect(row).toContain(flag.description.replaceAll('|', '\\|'))
    expect(row).toContain(flag.when)
    // The default that the schema resolves to is the one that people read.
    const [, rest = ''] = page.split(`\n  --${flag.name}${flag.kind === 'switch' ? ',' : ' '}`)
    const shown = flat(rest.split('\n  --')[0] ?? '')
    const fallback = given.has(option) ? given.get(option) : leaves.get(option)
    if (required.has(option)) {
      expect([shown.includes('[required]'), row.includes('| required |')], option).toEqual([true, true])
    } else if (
      fallback === null ||
      fallback === '' ||
      (typeof fallback === 'object' && Object.keys(fallback).length === 0)
    ) {
      expect([shown.includes('[default'), row.includes('| – |')], option).toEqual([false, true])
    } else {
      const text = /\[default: ([^\]]*)\]/.exec(shown)?.[1] ?? ''
      const first = text.split('; ')[0]?.split(': ').at(-1) ?? ''
      const size = /^\d+[KMGT]iB$/.test(first) ? bytes(first) : first
      const of = flag.kind === 'switch' ? (fallback === flag.on ? 'on' : 'off') : String(fallback)
      // These two defaults are written as people type them.
      const typed = option === 'corpusSkip' || option === 'textJoin'
      const read = typed ? resolveOptions({ ...least, [option]: flag.kind === 'list' ? [first] : first })[option] : size
      expect(String(read), option).toBe(of)
      expect(row, option).toContain(flag.kind === 'switch' ? `\`${String(fallback)}\`` : `\`${text}\``)
    }
  }
  expect(flat(page)).toContain(
    '[default: related; standard, knn, iclm, long, topics, interleave: next; nextlong: drop]',
  )
  expect(flat(page)).toContain('[default: keyworded; others: all]')
  for (const option of ['memory', 'splitBytes', 'maxDocumentBytes'])
    expect((optionsJsonSchema()['properties'] as Record<string, object>)[option]).toHaveProperty('default')
})

test('help run shows the flags that matter; --all shows every flag, a topic its own', async () => {
  const [some, all, topic, wrong] = await Promise.all([
    cli(argv`help run`),
    cli(argv`run --help --all`),
    cli(argv`help run vectors`),
    cli(argv`help run vektors`),
  ])
  const own = Object.keys(commands['run']?.flags ?? {}).length
  expect(count(some.out)).toBe(flags().filter(({ common }) => common).length + own)
  expect(count(some.out) - own).toBeLessThan(20)
  expect(count(all.out)).toBe(flags().length + own)
  expect(count(topic.out)).toBe(flags().filter(({ section }) => section === 'vectors').length)
  for (const name of topicsOf(commands['run'] as Command)) expect(some.out).toContain(`longweave help run ${name}`)
  expect(wrong).toMatchObject({ status: 2, err: expect.stringContaining('did you mean `vectors`?') as string })
})

test('docs/cli.md has every command, its flags, and types of JSON that the package exports', () => {
  const page = readFileSync(new URL('../docs/cli.md', import.meta.url), 'utf8')
  const exported = ['index.ts', 'generated/results.ts']
    .map((file) => readFileSync(new URL(`../ts/${file}`, import.meta.url), 'utf8'))
    .join('')
  for (const { name, flags: own, json } of Object.values(commands)) {
    const [, part = ''] = page.split(`\n### ${name}\n`)
    const text = part.split('\n### ')[0] ?? ''
    for (const flag of Object.keys(own)) expect(text, `${name} --${flag}`).toMatch(new RegExp(`\`--${flag}[ \`]`))
    expect(text.includes('**JSON**'), name).toBe('json' in own)
    for (const [type] of json?.matchAll(/\b[A-Z][a-z]+[A-Z]?[A-Za-z]+\b/g) ?? [])
      if (type !== 'With') expect(exported, `${name}: ${type}`).toMatch(new RegExp(`\\b${type}\\b`))
  }
})

test('run says in words what came out, and nothing on the way when piped', async () => {
  const { status, out: said, err } = await cli(argv`run ${config} --out ${out('said')}`)
  expect(status).toBe(0)
  for (const word of [
    'corpus',
    '80 documents',
    'keywords',
    'sequences',
    'of 64 tokens',
    'dropped',
    'written',
    out('said'),
    'time',
  ])
    expect(said).toContain(word)
  expect(said + err).not.toContain('\u001b')
  expect(
    err
      .split('\n')
      .filter(Boolean)
      .every((line) => line.startsWith('longweave: ')),
  ).toBe(true)
})

test('--json gives a line for each event and the summary last', async () => {
  const { status, out: text, err } = await cli(argv`run ${config} --out ${out('json')} --json`)
  const events = parsed(text)
  const summary = events.pop() as unknown as Summary & { type: string }
  expect([status, err]).toEqual([0, ''])
  expect(events.every(({ type }) => ['stage', 'progress', 'warning'].includes(String(type)))).toBe(true)
  expect(events.filter(({ type, state }) => type === 'stage' && state === 'done').map(({ stage }) => stage)).toEqual(
    questStages.filter((stage) => stage !== 'scatter'),
  )
  expect(summary).toMatchObject({ type: 'summary', method: 'quest', length: 64, directory: out('json') })
})

test('flags say what a config file says, and lie on top of it', async () => {
  const asFlags = argv`
    --corpus ${corpus} --id-field id --query-field query --predictor precomputed --boilerplate none
    --keyword-hierarchy suffix --threads 2 --tokenizer ${tokenizer} --length 64 --split-bytes 4kB
    --shard-tokens 512 --out ${out('flags')}
  `
  expect((await cli(argv`run ${asFlags}`)).status).toBe(0)
  expect(filesOf(out('flags'))).toEqual(filesOf(out('made')))
  const over = await cli(
    argv`run ${config} --length 32 --fill drop --method quest --format jsonl --out ${out('over')} --json`,
  )
  expect(parsed(over.out).at(-1)).toMatchObject({ length: 32, format: 'jsonl' })
  const { options: kept } = JSON.parse(readFileSync(out('over/longweave.json'), 'utf8')) as {
    options: { method: object; idField: string }
  }
  expect(kept).toMatchObject({ idField: 'id', method: { name: 'quest', fill: 'drop' } })
})

test('a list flag can be given several times, a preset changes the defaults', async () => {
  const second = writeJsonl(
    out('second.jsonl'),
    documents.map(({ id, ...rest }) => ({ id: `second-${id}`, ...rest })),
  )
  const args = argv`
    run ${config} --corpus ${corpus} --corpus ${second} --boilerplate-phrases ${'chess player'}
    --boilerplate-phrases ${'steam engine'}
  `
  expect((await cli(argv`${args} --preset paper --out ${out('lists')}`)).status).toBe(0)
  const { options: kept, inputs } = JSON.parse(readFileSync(out('lists/longweave.json'), 'utf8')) as {
    options: { keywords: object; method: object }
    inputs: object[]
  }
  expect(inputs.length).toBe(2)
  expect(kept.keywords).toMatchObject({
    representative: presets.paper.keywords.representative,
    boilerplatePhrases: ['chess player', 'steam engine'],
  })
  expect(kept.method).toMatchObject({ fill: 'next' })
})

test('a config file is JSON with comments and trailing commas; a mistake in it is named by line and column', async () => {
  const text = `{
  // the corpus of the tests
  "corpus": ${JSON.stringify(corpus)}, /* and its tokenizer */
  "tokenizer": ${JSON.stringify(tokenizer)},
  "idField": "id", "queryField": "query", "queries": { "predictor": "precomputed", },
  "method": "quest", "length": 64, "keywords": { "boilerplatePhrases": ["//", "/* no comment */",], },
}
`
  writeFileSync(out('with-comments.jsonc'), text)
  const dry = await cli(argv`run --config ${out('with-comments.jsonc')} --out ${out('jsonc')} --dry-run --json`)
  expect(dry.status, dry.err).toBe(0)
  const { options: read } = JSON.parse(dry.out) as { options: { keywords: object; length: number } }
  expect(read).toMatchObject({ length: 64, keywords: { boilerplatePhrases: ['//', '/* no comment */'] } })
  writeFileSync(out('broken.jsonc'), text.replace('"length": 64', '"length" 64'))
  const broken = await cli(argv`run --config ${out('broken.jsonc')} --out ${out('jsonc')}`)
  expect(broken.status).toBe(2)
  expect(broken.err).toContain(`${out('broken.jsonc')}:6:31 is not JSON`)
})

test('a switch is set by its name and unset by --no-, also over a config file', async () => {
  writeFileSync(out('switch.json'), JSON.stringify({ ...options, vectors: { tf32: false }, clean: 'sealed' }))
  const resolved = async (...args: string[]) => {
    const given = argv`run --config ${out('switch.json')} --out ${out('switch')} --dry-run --json ${args}`
    const { status, out: text, err } = await cli(given)
    expect(status, err).toBe(0)
    return (JSON.parse(text) as { options: unknown }).options
  }
  expect(await resolved()).toMatchObject({ clean: 'sealed', vectors: { tf32: false }, queries: { tf32: true } })
  expect(await resolved('--no-clean-after-seal', '--vectors-tf32', '--no-query-tf32')).toMatchObject({
    clean: 'none',
    vectors: { tf32: true },
    queries: { tf32: false },
  })
})

test('--quiet prints nothing but errors, --no-progress only takes the bars away', async () => {
  const quiet = await cli(argv`run ${config} --out ${out('quiet')} --quiet`)
  expect(quiet).toEqual({ status: 0, signal: null, out: '', err: '' })
  const result = await cli(argv`run ${config} --out ${out('quiet')} --quiet --json`)
  expect(parsed(result.out).map(({ type }) => type)).toEqual(['summary'])
  const failed = await cli(argv`run ${config} --corpus ${out('none.jsonl')} --out ${out('x')} --quiet`)
  expect(failed).toMatchObject({ status: 1, out: '', err: expect.stringContaining('[INPUT_NOT_FOUND]') as string })
  const plainly = await cli(argv`run ${config} --out ${out('quiet')} --no-progress`)
  expect(plainly.out).toContain('written')
})

/** Surroundings whose clock a test turns. */
function surroundings(columns: number | null) {
  const ticks: (() => void)[] = []
  let text = ''
  const to: Surroundings = {
    write: (more) => void (text += more),
    columns: () => columns,
    memory: () => 512e6,
    every(milliseconds, tick) {
      expect(milliseconds).toBe(INTERVAL)
      ticks.push(tick)
      return () => void ticks.splice(ticks.indexOf(tick), 1)
    },
  }
  const take = () => {
    const before = text
    text = ''
    return before
  }
  return { to, take, tick: () => ticks.forEach((tick) => tick()), timers: () => ticks.length }
}

const started = {
  type: 'stage',
  stage: 'ingest',
  state: 'started',
  tasks: 4,
  number: 3,
  stages: 11,
  seconds: 1,
} as const
const at = (done: number, seconds: number, etaSeconds: number | null) =>
  ({
    type: 'progress',
    stage: 'ingest',
    unit: 'bytes',
    total: 400e6,
    done,
    seconds,
    etaSeconds,
  }) as const

test('without a terminal a run prints a line every 30 seconds: stage of how many, share, speed, time left, memory', () => {
  const { to, take, tick, timers } = surroundings(null)
  const shown = reporter({ json: false, quiet: false, progress: true }, to)
  expect(INTERVAL).toBe(30_000)
  tick()
  expect(take()).toBe('longweave: Starting, 512.0 MB RAM\n')
  shown.event(started)
  // An earlier process has read 100 MB, which counts for no speed.
  shown.event(at(100e6, 2, null))
  shown.event(at(200e6, 12, 20))
  expect(take()).toBe('')
  tick()
  expect(take()).toBe('longweave: [ 3 of 11] Tokenizing, 50 %, 10.0 MB/s, 20 s left, 512.0 MB RAM\n')
  shown.event({ type: 'warning', message: 'the disk is\u001b full' })
  expect(take()).toBe('longweave: the disk is\\u001b full\n')
  shown.end()
  expect(timers()).toBe(0)
  // Nor does it come with --no-progress, --quiet or --json.
  for (const wanted of [
    { json: false, quiet: false, progress: false },
    { json: false, quiet: true, progress: true },
    { json: true, quiet: false, progress: true },
  ]) {
    const other = surroundings(null)
    reporter(wanted, other.to)
    expect(other.timers()).toBe(0)
  }
})

test.each([60, 80, 100, 120, 200])(
  'on a terminal of %i columns the bar fits in a line and shows the same',
  (columns) => {
    const { to, take, timers } = surroundings(columns)
    const shown = reporter({ json: false, quiet: false, progress: true }, to)
    shown.event(started)
    shown.event(at(0, 1, null))
    take()
    shown.event(at(200e6, 21, 3605))
    const line = take()
    expect(line.startsWith('\r\u001b[2K  [ 3 of 11] Tokenizing ')).toBe(true)
    expect(line.slice('\r\u001b[2K'.length).length).toBeLessThan(columns)
    expect(line).toContain(' 50 %  10.0 MB/s  1.0 h left')
    if (columns >= 80) expect(line).toContain('512.0 MB RAM')
    if (columns >= 100) expect(line).toMatch(/█+░+ .*RAM$/)
    shown.event({ ...started, state: 'done', seconds: 61 })
    expect(take().replace('\r\u001b[2K', '').replaceAll(/ +/g, ' ')).toBe('✓ [ 3 of 11] Tokenizing 1 min 0 s\n')
    expect(timers()).toBe(0)
    const silent = surroundings(columns)
    const none = reporter({ json: false, quiet: true, progress: true }, silent.to)
    none.event(started)
    none.event(at(1, 2, null))
    none.end()
    expect(silent.take()).toBe('')
  },
)

test('counts and what they came to go to a terminal alone', () => {
  const [pipe, terminal] = [surroundings(null), surroundings(80)]
  for (const { to } of [pipe, terminal]) {
    const counter = new Counter('documents', true, { ...to, every: (_, tick) => to.every(INTERVAL, tick) })
    counter.one()
    counter.one()
    if (to === terminal.to) terminal.tick()
    counter.end('by extractive')
  }
  expect(pipe.take()).toBe('')
  expect(terminal.take()).toMatch(/2 documents, .*\/s, 512\.0 MB RAM.*longweave: 2 documents, .*, by extractive\n$/s)
  expect(terminal.timers()).toBe(0)
})

test('help of a family of commands names them', async () => {
  const [help, flag] = await Promise.all([cli(argv`help task`), cli(argv`task --help`)])
  expect(help.status).toBe(0)
  expect(flag.out).toBe(help.out)
  for (const name of ['task list', 'task run']) expect(help.out).toContain(`longweave ${name} `)
})

const wrongUsage: [string[], string[]][] = [
  [['rnu'], ['`rnu`', '`run`']],
  [['bake'], ['`bake`', 'run, plan, show']],
  [argv`help vrify`, ['`verify`']],
  [argv`run --lenght 5`, ['--lenght', 'did you mean --length', '`longweave help run`']],
  [argv`run --overflw=split`, ['--overflw', '--overflow']],
  [argv`show ${out('made')} 0 --wy`, ['--wy', '--why']],
  [
    argv`run ${config} --overflow spilt --out ${out('x')}`,
    ['--overflow must be split, truncate or whole, but is "spilt"; did you mean split?'],
  ],
  [argv`run ${config} --length`, ['--length needs a value']],
  [argv`run ${config} --tokens -5`, ['--tokens needs a value', '--tokens=VALUE']],
  [argv`run ${config} --no-query-tf32=yes`, ['--no-query-tf32 takes no value']],
  [argv`run ${config} --query-tf32 --no-query-tf32`, ['--query-tf32 and --no-query-tf32 exclude each other']],
  [argv`run ${config} --preset papr --out ${out('x')}`, ['--preset', 'did you mean paper?']],
  [argv`run ${config} --format memory`, ['--format memory', 'API']],
  [argv`run ${config} --length many --out ${out('x')}`, ['--length', 'number', '"many"']],
  [argv`run ${config} --length 0 --out ${out('x')}`, ['--length', 'OPTIONS_INVALID']],
  [argv`run ${config} --length 5 --length 6 --out ${out('x')}`, ['--length', 'once']],
  [argv`run ${config}`, ['--out must be given']],
  [argv`run --tokenizer ${tokenizer} --length 8 --out ${out('x')}`, ['corpus']],
  [argv`run ${config} stray --out ${out('x')}`, ['`stray`']],
  [argv`run --config ${out('corpus.jsonl')}`, ['corpus.jsonl', 'JSON']],
  [['show'], ['RUN is missing', 'output directory']],
  [argv`show ${out('made')} first`, ['"first"']],
  [['report'], ['RUN is missing']],
  [argv`report --output ${out('x.html')} ${out('made')}`, ['--output', '--out']],
  [['task'], ['`longweave task list` or `longweave task run`']],
  [argv`task lst ${out('made')}`, ['`lst`', '`longweave task list`']],
  [argv`task list`, ['RUN is missing']],
  [argv`task run ${out('made')}`, ['STAGE is missing', '`longweave help task run`']],
  [['status'], ['RUN is missing']],
  [argv`status ${out('made')} --watch --interval often`, ['--interval', '"often"']],
  [argv`status ${out('made')} --interval 0`, ['--interval', 'at least 1']],
  [['clean'], ['WORK is missing']],
  [argv`completions bsh`, ['bash, zsh or fish', 'did you mean bash']],
  [argv`run ${config} --disk-check maybe --out ${out('x')}`, ['--disk-check', 'refuse, warn or off']],
  [argv`task run ${out('made')} scan`, ['--task, --shard and --all']],
  [argv`task run ${out('made')} scan --all --memory lots`, ['--memory', '"lots"']],
  [argv`keywords --min-score high`, ['--min-score', '"high"']],
  [['predict'], ['--corpus is missing']],
  [argv`embed --corpus ${corpus}`, ['--model is missing']],
]

test.each(wrongUsage)('wrong usage ends with 2 and says what is right: longweave %j', async (args, says) => {
  const { status, out: text, err } = await cli(args)
  expect([status, text]).toEqual([2, ''])
  for (const part of says) expect(err).toContain(part)
  expect(err).not.toMatch(/\n\s+at /)
})

test.each([
  [argv`run ${config} --corpus ${out('none.jsonl')} --out ${out('x')}`, 'INPUT_NOT_FOUND'],
  [argv`run --config ${out('none.json')}`, 'INPUT_NOT_FOUND'],
  [argv`show ${out('none')} 0`, 'OUTPUT_NOT_FOUND'],
  [argv`verify ${out('none')}`, 'OUTPUT_NOT_FOUND'],
  [argv`report ${out('none')}`, 'OUTPUT_NOT_FOUND'],
  [argv`task list ${out('none')}`, 'RUN_NOT_PREPARED'],
  [argv`status ${out('none')}`, 'RUN_NOT_PREPARED'],
  [argv`clean ${out('none')}`, 'INPUT_NOT_FOUND'],
  [argv`clean ${out('none')} --all`, 'INPUT_NOT_FOUND'],
  [argv`run ${config} --corpus ${out('none.jsonl')} --out ${out('x')} --dry-run`, 'INPUT_NOT_FOUND'],
  [argv`task run ${out('none')} scan --all`, 'RUN_NOT_PREPARED'],
  [argv`keywords ${out('none')}`, 'RUN_NOT_PREPARED'],
  [argv`predict --corpus ${out('none')}`, 'INPUT_NOT_FOUND'],
])('failure ends with 1 and a message with its code: longweave %j', async (args, code) => {
  const { status, out: text, err } = await cli(args)
  expect([status, text]).toEqual([1, ''])
  expect(err).toMatch(new RegExp(`^longweave: .* \\[${code}\\]\n$`))
})

test('show prints each document with its words; --why adds the rule, pass and draw; --json is for programs', async () => {
  const [said, why, json] = await Promise.all([
    cli(argv`show ${out('made')} 3`),
    cli(argv`show ${out('made')} 3 --why --words 3`),
    cli(argv`show ${out('made')} 3 --why --json`),
  ])
  expect([said.status, why.status, json.status]).toEqual([0, 0, 0])
  const shown = JSON.parse(json.out) as ShownSequence
  for (const { docId, reason } of shown.pieces) {
    expect(said.out).toContain(docId)
    if (reason !== null) expect(said.out).toContain(`[${reason}]`)
  }
  expect(said.out).not.toContain('why:')
  expect(why.out).toMatch(/why: .+\n {5}seed 0, epoch 0/)
  expect(why.out).toMatch(/group \d+: pass 1 of epoch 0/)
  expect(why.out).toMatch(/ w\d+ w\d+ w\d+ …/)
  expect(['group', 'related', 'next']).toContain(shown.why?.rule)
})

test('a control character in a document, an id, a keyword or a path reaches no terminal', async () => {
  const evil = '\u001b]0;owned\u0007\u009b31m\u202e\u200f'
  // Words would end at these.
  const lying = `${evil}\u2028\n✓ all is well\t`
  const rows = documents.slice(0, 20).map((document, i) => ({
    ...document,
    id: `${lying}${i}`,
    query: [`red car${lying}`],
    text: `${document.text} <|endoftext|>`,
  }))
  mkdirSync(out(`evil${lying}`))
  const path = writeJsonl(out(`evil${lying}/${lying}.jsonl`), rows)
  // A tokenizer whose tokens hold the characters themselves.
  const file = JSON.parse(readFileSync(tokenizer, 'utf8')) as { model: { vocab: Record<string, number> } }
  file.model.vocab = Object.fromEntries(
    Object.entries(file.model.vocab).map(([word, id]) => [/^w\d/.test(word) ? `${word}${evil}` : word, id]),
  )
  writeFileSync(out('evil.json'), JSON.stringify(file))
  const text = rows.map((row) => ({ ...row, text: row.text.replaceAll(/w\d+/g, (word) => `${word}${evil}`) }))
  writeJsonl(path, text)
  const to = out('evil-out')
  const run = argv`run ${config} --corpus ${path} --tokenizer ${out('evil.json')} --length 16 --out ${to}`
  const said = [
    await cli(argv`${run} --json`),
    await cli(run),
    await cli(argv`show ${to} 0 --why`),
    await cli(argv`show ${to} 0 --json`),
    await cli(argv`keywords ${to}`),
    await cli(argv`run ${config} --corpus ${`${path}.none`} --out ${out('x')}`),
    await cli(['keywords'], { input: `big${evil} car\n` }),
    await cli([evil]),
    await cli(argv`verify ${`${to}${lying}`}`),
  ]
  expect(said.slice(0, 5).map(({ status, err }) => [status, err.includes('[')])).toEqual(
    Array.from({ length: 5 }, () => [0, false]),
  )
  expect(said[2]?.out).toContain('\\u001b]0;owned\\u0007\\u009b31m\\u202e\\u200f\\u2028\\u000a✓ all is well\\u0009')
  expect((parsed(said[3]?.out ?? '')[0] as { pieces: { docId: string }[] }).pieces[0]?.docId).toContain(lying)
  for (const { out: output, err } of said)
    expect(output + err).not.toMatch(/[^\P{Cc}\t\n]|[\u200e\u200f\u2028-\u202e]|^✓ all is well/mu)
  // Nor does it become a name or a sentence: of the output's own files those for people have fixed words.
  expect(
    Object.keys(filesOf(to)).every((name) => /^(\d{5}\.parquet|[a-zA-Z]+(\.[a-z]+)?|SHA256SUMS)$/.test(name)),
  ).toBe(true)
  expect(readFileSync(join(to, 'README.md'), 'utf8')).not.toMatch(/owned|all is well/)
})

test('keywords reads lines, one line out for each, and lists those of a run', async () => {
  const input = 'What is the capital city of northern ireland?\n\nthe of and\nlinear\u2028constraints hold here'
  const { status, out: text } = await cli(['keywords'], { input })
  expect(status).toBe(0)
  expect(text.split('\n').slice(0, 3)).toEqual(['capital city (4), northern ireland (4)', '', ''])
  expect(text.split('\n').length).toBe(5)
  const all = await cli(argv`keywords --min-score 0 --stop-words fox --json`, {
    input: 'deep learning model',
  })
  expect(parsed(all.out)).toEqual([[{ phrase: 'deep learning model', score: 9 }]])
  const top = await cli(argv`keywords ${out('made')} --top 3`)
  expect(top.out.split('\n').length).toBe(5)
  const json = JSON.parse((await cli(argv`keywords ${out('made')} --top 3 --json`)).out) as {
    keyword: string
    documents: number
  }[]
  expect(json.map(({ documents: n }) => n)).toEqual(json.map(({ documents: n }) => n).toSorted((a, b) => b - a))
  for (const { keyword, documents: n } of json) {
    expect(top.out).toContain(`${n}  ${keyword}`)
    expect(documents.filter(({ query }) => query[0] === keyword).length).toBe(n)
  }
})

test('plan says what would come out; run with the same options continues from there', async () => {
  const planned = await cli(argv`plan ${config} --out ${out('planned')} --json`)
  expect(parsed(planned.out).at(-1)).toMatchObject({ type: 'summary', files: 0 })
  expect(filesOf(out('planned'))).toEqual({})
  const woven = await cli(argv`run ${config} --out ${out('planned')} --json`)
  expect(
    parsed(woven.out)
      .filter(({ state }) => state === 'reused')
      .map(({ stage }) => stage),
  ).toContain('plan')
  expect(filesOf(out('planned'))).toEqual(filesOf(out('made')))
})

test('prepare, task list and task run do by hand what run does', async () => {
  const to = out('by-hand')
  expect((await cli(argv`prepare ${config} --out ${to}`)).out).toContain(`longweave task list ${to}`)
  const info = async () =>
    JSON.parse((await cli(argv`task list ${to} --json`)).out) as {
      stage: string
      tasks: number | null
      done: number
      dependsOn: string[]
      command: string
    }[]
  const before = await info()
  expect(before.map(({ done }) => done)).toEqual(before.map(() => 0))
  expect(before.find(({ stage }) => stage === 'pack')?.tasks).toBeNull()
  expect(before.find(({ stage }) => stage === 'pack')?.dependsOn).toEqual([
    'ingest',
    'documents',
    'index',
    'plan',
    'route',
    'scatter',
  ])
  const n = before[0]?.tasks ?? 0
  expect(n).toBeGreaterThan(2)
  const stage = async (name: string, ...args: string[]) => {
    const { status, out: text, err } = await cli(argv`task run ${to} ${name} ${args}`)
    expect(status, err).toBe(0)
    return text
  }
  expect(await stage('scan', '--task', '0')).toBe('scan 0 done, 0 files\n')
  expect((await info())[0]?.done).toBe(1)
  expect((await stage('scan', '--task', '0..2')).split('\n').length).toBe(3)
  await stage('scan', '--shard', `0/2`)
  await stage('scan', '--shard', `1/2`)
  expect((await info())[0]?.done).toBe(n)
  const records = JSON.parse(await stage('ingest', '--all', '--json')) as {
    task: number
    counts: { accepted: number }
  }[]
  expect(records.reduce((sum, { counts }) => sum + counts.accepted, 0)).toBe(80)
  for (const name of ['documents', 'predict', 'extract', 'index', 'plan', 'report', 'route', 'pack', 'seal'])
    await stage(name, '--all', '--threads', '1')
  expect((await info()).every(({ tasks, done }) => tasks === done)).toBe(true)
  expect((await cli(argv`task list ${to}`)).out).toMatch(/^stage +tasks +done +after\nscan +\d+ +\d+\n/)
  expect(filesOf(to)).toEqual(filesOf(out('made')))
})

test('verify says what an output holds, or ends with 1 and names the file that differs', async () => {
  const good = await cli(argv`verify ${out('made')}`)
  expect(good).toMatchObject({ status: 0, err: '' })
  expect(good.out).toMatch(/^\d+ sequences, .* everything is as recorded\n$/)
  expect(parsed((await cli(argv`verify ${out('made')} --json`)).out)[0]).toMatchObject({
    tokens: expect.any(Number) as number,
  })
  cpSync(out('made'), out('broken'), { recursive: true })
  appendFileSync(out('broken/00000.parquet'), ' ')
  const { status, err } = await cli(argv`verify ${out('broken')}`)
  expect(status).toBe(1)
  expect(err).toMatch(/00000\.parquet: its content differs.*\[VERIFY_FAILED\]\n$/)
})

test('report writes a page of several outputs and says what is in it', async () => {
  const given = (['standard', 'knn', 'quest'] as const).map((method) =>
    writeReport(out(`report-${method}`), {
      ...madeReport(method, { browse: 3 }),
      part: method === 'knn' ? `main${hostile[8]}` : 'main',
    }),
  )
  const page = out('page.html')
  expect(await cli(argv`report ${given} --out ${page}`)).toMatchObject({
    status: 0,
    err: '',
    out: expect.stringMatching(
      /page\.html: standard, knn, main\\u0000\\u001b\[31m, quest; 9 sequences to read; [\d.]+ kB\n$/,
    ) as string,
  })
  expect(readFileSync(page, 'utf8').startsWith('<!doctype html>')).toBe(true)
  const json = await cli(argv`report ${given.slice(0, 1)} --json`, { cwd: directory })
  expect(parsed(json.out)[0]).toMatchObject({
    file: 'report.html',
    runs: [{ label: 'standard', sequences: 3, leftOut: 0 }],
  })
  writeFileSync(page, 'mine')
  expect(await cli(argv`report ${given} --out ${page}`)).toMatchObject({
    status: 1,
    err: expect.stringMatching(/\[OUTPUT_EXISTS\]\n$/) as string,
  })
})

/** The largest share of the tokens that one keyword brought. */
const share = (pieces: Pick<ShownPiece, 'reason' | 'length'>[]) => {
  const sums = new Map<string | null, number>()
  for (const { reason, length } of pieces) if (reason !== null) sums.set(reason, (sums.get(reason) ?? 0) + length)
  return Math.max(0, ...sums.values()) / pieces.reduce((sum, { length }) => sum + length, 0)
}

test('show without a number shows a sequence of one keyword, if there is one', async () => {
  const best = JSON.parse((await cli(argv`show ${out('made')} --json`)).out) as ShownSequence
  const shares: number[] = []
  for await (const { pieces } of readSequences(out('made'))) shares.push(share(pieces))
  expect(share(best.pieces)).toBeCloseTo(Math.max(...shares), 9)
  expect(Math.min(...shares)).toBeLessThan(Math.max(...shares))
  expect(shares[best.index]).toBeCloseTo(Math.max(...shares), 9)
})

test('clean refuses to delete everything unless it is asked to, and says how much it is and what it took to make', async () => {
  const work = out('clean-work')
  expect((await cli(argv`run ${config} --work ${work} --out ${out('clean')}`)).status).toBe(0)
  const before = readdirSync(work).toSorted()
  const refused = await cli(argv`clean ${work}`)
  expect(refused).toMatchObject({ status: 2, out: '' })
  expect(refused.err).toMatch(/clean needs --keep RUN or --all\. .* would delete [\d.]+ [kM]?B from /)
  for (const stage of ['ingest', 'extract', 'plan'])
    expect(refused.err).toMatch(new RegExp(` k?B  ${stage} +made in .*\\d+ s`))
  expect(readdirSync(work).toSorted()).toEqual(before)
  const error = await failure(() => clean(work))
  expect(error.code).toBe('OPTIONS_INVALID')
  expect(error.message).toMatch(/would delete .*ingest [\d.]+ [kM]?B \(made in \d+ s\).*`keep`.*`all`/s)
  expect(readdirSync(work).toSorted()).toEqual(before)
  const dry = JSON.parse((await cli(argv`clean ${work} --dry-run --json`)).out) as CleanReport
  expect(dry.directories.map(({ name }) => name)).toEqual(before.filter((name) => /-[0-9a-f]{16}$/.test(name)))
  for (const { name, stage, seconds, devices, removed } of dry.directories) {
    expect([name.startsWith(`${stage}-`), removed, devices]).toEqual([true, true, []])
    expect(seconds).toBeGreaterThan(0)
  }
  const gone = await cli(argv`clean ${work} --all`)
  expect(gone.status).toBe(0)
  expect(gone.out).toMatch(/deleted, 0 B kept\n$/)
  expect(readdirSync(work).some((name) => /-[0-9a-f]{16}$/.test(name))).toBe(false)
  expect((await cli(argv`verify ${out('clean')}`)).status).toBe(0)
})

/** Candidates that a shell offers for a line; null where the shell is not installed. */
const shells: Record<string, (script: string, line: string[]) => string[] | null> = {
  bash(script, line) {
    const words = line.map((word) => `'${word}'`).join(' ')
    const program = `${script}\nCOMP_WORDS=(${words}); COMP_CWORD=${line.length - 1}; _longweave; printf '%s\\n' "\${COMPREPLY[@]}"`
    return candidates('bash', ['--norc', '-c', program])
  },
  zsh(script, line) {
    // The functions of the completion system, reduced to printing the candidates.
    const stubs = `
_files() { print -l -- FILES }
compadd() { print -l -- "$@" }
_describe() { print -l -- \${(P)2%%:*} }
_arguments() {
  local cur=$words[CURRENT] prev=$words[CURRENT-1] spec
  for spec in "\${@[2,-1]}"; do
    if [[ $spec == '*:argument:'* ]]; then
      [[ $cur != -* && $prev != --* ]] && print -l -- \${=\${\${spec#'*:argument:'}//[()]/}}
    elif [[ $prev == \${\${spec#'*'}%%'['*} && $spec == *']:'*':('* ]]; then
      print -l -- \${=\${\${spec##*':('}%')'}}
    elif [[ $cur == -* ]]; then
      print -r -- \${\${spec#'*'}%%'['*}
    fi
  done
}`
    const words = line.map((word) => `'${word}'`).join(' ')
    return candidates('zsh', [
      '-f',
      '-c',
      `${stubs}\n${script}\nwords=(${words}); CURRENT=${line.length}; _longweave; true`,
    ])
  },
  fish(script, line) {
    const text = line.map((word) => word.replaceAll("'", '')).join(' ')
    const list = candidates('fish', ['--no-config', '-c', `${script}\ncomplete -C '${text}'`])
    return list?.map((one) => one.split('\t')[0] ?? '') ?? null
  },
}

function candidates(program: string, args: string[]): string[] | null {
  const { error, stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', cwd: directory })
  if (error !== undefined) return null
  expect([status, stderr]).toEqual([0, ''])
  return stdout.split('\n').filter(Boolean)
}

describe.each(Object.keys(shells))('completions in %s', (shell) => {
  const installed = spawnSync(shell, ['-c', 'true']).error === undefined

  test.skipIf(!installed)('offer commands, flags of the command, choices and paths', async () => {
    const { status, out: script } = await cli(argv`completions ${shell}`)
    expect(status).toBe(0)
    const offered = (...line: string[]) => shells[shell]?.(script, ['longweave', ...line]) ?? []
    expect(offered('')).toEqual(expect.arrayContaining(['run', 'show', 'task', 'completions', 'help']))
    expect(offered('task', '').toSorted()).toEqual(['list', 'run'])
    const list = offered('run', '--')
    for (const { name, kind } of flags()) {
      expect(list).toContain(`--${name}`)
      if (kind === 'switch') expect(list).toContain(`--no-${name}`)
    }
    for (const name of ['--dry-run', '--quiet', '--no-progress']) expect(list).toContain(name)
    expect(list).not.toContain('--shard')
    expect(offered('run', '--method', '')).toEqual(
      ['quest', 'standard', 'knn', 'iclm', 'long', 'nextlong', 'topics', 'interleave'].toSorted(order(shell)),
    )
    expect(offered('task', 'run', out('made'), 'scan', '--')).toEqual(
      expect.arrayContaining(['--task', '--shard', '--all']),
    )
    expect(offered('task', 'list', out('made'), '--')).not.toContain('--shard')
    expect(offered('completions', '')).toEqual(['bash', 'zsh', 'fish'].toSorted(order(shell)))
    if (shell !== 'zsh') expect(offered('show', './conf')).toContain('./config.json')
    expect(offered('help', '')).toEqual(expect.arrayContaining(['run', 'keywords', 'vectors']))
  })
})

/** fish sorts candidates, the others keep their order. */
const order = (shell: string) => (a: string, b: string) => (shell === 'fish' ? (a < b ? -1 : 1) : 0)

test('output whose reader goes away is no failure', async () => {
  const main = new URL('../dist/cli/main.js', import.meta.url).pathname
  const { status, stderr } = spawnSync('sh', ['-c', `"${process.execPath}" "${main}" help run | head -1; exit $?`], {
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([0, ''])
})

test('a message names flags where the core names options', async () => {
  for (const [message, shown] of [
    ['fix the row, or set `onBadRow: skip`', 'fix the row, or set --on-bad-row skip'],
    ['raise `memory`, or lower `maxDocumentBytes`', 'raise --memory, or lower --max-document-bytes'],
    ['`fill: next` and `keywords.minScore`', '--fill next and --min-keyword-score'],
    ['each row needs `id` and `query`', 'each row needs `id` and `query`'],
    ['see `longweave status`', 'see `longweave status`'],
  ] as const)
    expect(withFlags(message)).toBe(shown)
  const bad = writeJsonl(out('bad.jsonl'), [documents[0] as object, { ...documents[1], text: 7 }])
  const { status, err } = await cli(argv`run ${config} --corpus ${bad} --out ${out('bad')} --quiet`)
  expect(status).toBe(1)
  expect(err).toBe(
    'longweave: bad.jsonl:2: "text" is a number, not a string; fix the row, or set --on-bad-row skip [BAD_ROW]\n',
  )
})

test('an argument that an unquoted pattern left over is explained', async () => {
  const { status, err } = await cli(argv`run --corpus a.jsonl b.jsonl`)
  expect(status).toBe(2)
  expect(err).toContain("unexpected argument `b.jsonl`; quote a pattern (--corpus '*.jsonl') or repeat --corpus")
  expect((await cli(argv`verify a b`)).err).not.toContain('--corpus')
})
