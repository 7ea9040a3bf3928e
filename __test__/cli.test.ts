// The command line as a person and a script meet it.
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { flags } from '../ts/cli/flags.ts'
import { optionsJsonSchema, presets, resolveOptions } from '../ts/index.ts'
import type { Summary } from '../ts/index.ts'
import { hostile, madeReport, writeReport } from './reports.ts'
import { cli, filesOf, folder, plain, randomCorpus, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const out = (name: string) => join(directory, name)
const tokenizer = wordTokenizer(directory)
const documents = randomCorpus(5, 80, 40)
const corpus = writeJsonl(out('corpus.jsonl'), documents)
const options = { ...plain, corpus, tokenizer, length: 64, splitBytes: 4000 }
writeFileSync(out('config.json'), JSON.stringify({ ...options, output: { shardTokens: 64 * 8 } }))
const config = ['--config', out('config.json')]
const commands = [
  'run',
  'plan',
  'show',
  'verify',
  'report',
  'keywords',
  'status',
  'tasks',
  'stage',
  'clean',
  'train-tokenizer',
]
const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

beforeAll(async () => {
  const { status, err } = await cli(['run', ...config, '--out', out('made')])
  expect(status, err).toBe(0)
})

test('without a command it says how it is used, and that is wrong usage; with help it is not', async () => {
  const [bare, help, flag] = await Promise.all([cli([]), cli(['help']), cli(['--help'])])
  expect([bare.status, help.status, flag.status]).toEqual([2, 0, 0])
  expect(help.out).toBe(bare.out)
  expect(help.out).toBe(flag.out)
  for (const command of commands) expect(help.out).toMatch(new RegExp(`^  ${command} `, 'm'))
  expect(help.out).toContain('Exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted')
})

test('--version is the package’s', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect(await cli(['--version'])).toMatchObject({ status: 0, out: `${version}\n` })
})

test.each(commands)('help %s has usage, flags and an example that begins as one types it', async (command) => {
  const [help, flag] = await Promise.all([cli(['help', command]), cli([command, '--help'])])
  expect(help).toMatchObject({ status: 0, err: '' })
  expect(flag.out).toBe(help.out)
  expect(help.out).toContain(`Usage: longweave ${command}`)
  expect(help.out).toMatch(new RegExp(`Examples:\n.*longweave ${command} `, 's'))
})

test('help run lists every option of the schema, its choices and its default', async () => {
  const { out: help } = await cli(['help', 'run'])
  const leaves = flags()
  expect(new Set(leaves.map(({ name }) => name)).size).toBe(leaves.length)
  const resolved = resolveOptions({ corpus: 'a', tokenizer: 't', length: 1, output: { directory: 'o' } })
  const methods = ['quest', 'standard', 'knn', 'iclm', 'long', 'nextlong'] as const
  const ofMethods = new Set(
    methods.flatMap((method) =>
      Object.keys(
        resolveOptions({ corpus: 'a', tokenizer: 't', length: 1, method, output: { directory: 'o' } }).method,
      ),
    ),
  )
  const count = Object.values({
    ...resolved,
    method: Object.fromEntries([...ofMethods].map((name) => [name, null])),
  }).reduce<number>(
    (n, value) =>
      n + (typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value).length : 1),
    0,
  )
  expect(leaves.length).toBe(count)
  expect(leaves.map(({ path }) => path[0])).toEqual(
    expect.arrayContaining(Object.keys(optionsJsonSchema()['properties'] as object)),
  )
  for (const { name, description, choices } of leaves) {
    const line = help.split('\n').find((text) => text.startsWith(`  --${name} `)) ?? ''
    expect(line, `--${name}`).toContain(description)
    expect(description.length, `--${name}`).toBeGreaterThan(8)
    if (choices.length > 1) expect(line).toContain(`(${choices.join(', ')})`)
  }
  expect(help).toMatch(/--overflow .*\[split\]/)
  expect(help).toMatch(/--method .*\(quest, standard, knn, iclm, long, nextlong\) \[quest\]/)
  expect(help).toMatch(/--fill .*\[related; standard, knn, iclm, long: next; nextlong: drop\]/)
})

test('run says in words what came out, and nothing on the way when piped', async () => {
  const { status, out: said, err } = await cli(['run', ...config, '--out', out('said')])
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
  const { status, out: text, err } = await cli(['run', ...config, '--out', out('json'), '--json'])
  const events = lines(text)
  const summary = events.pop() as unknown as Summary & { type: string }
  expect([status, err]).toEqual([0, ''])
  expect(events.every(({ type }) => ['stage', 'progress', 'warning'].includes(String(type)))).toBe(true)
  expect(events.filter(({ type, state }) => type === 'stage' && state === 'done').map(({ stage }) => stage)).toEqual([
    'scan',
    'ingest',
    'documents',
    'predict',
    'extract',
    'index',
    'plan',
    'report',
    'route',
    'pack',
    'seal',
  ])
  expect(summary).toMatchObject({ type: 'summary', method: 'quest', length: 64, directory: out('json') })
})

test('flags say what a config file says, and lie on top of it', async () => {
  const asFlags = [
    '--corpus',
    corpus,
    '--id-field',
    'id',
    '--query-field',
    'query',
    '--predictor',
    'precomputed',
    '--boilerplate',
    'none',
    '--hierarchy',
    'suffix',
    '--threads',
    '2',
    '--tokenizer',
    tokenizer,
    '--length',
    '64',
    '--split-bytes',
    '4kB',
    '--shard-tokens',
    '512',
    '--out',
    out('flags'),
  ]
  expect((await cli(['run', ...asFlags])).status).toBe(0)
  expect(filesOf(out('flags'))).toEqual(filesOf(out('made')))
  const over = await cli([
    'run',
    ...config,
    '--length',
    '32',
    '--fill',
    'drop',
    '--method',
    'quest',
    '--format',
    'jsonl',
    '--out',
    out('over'),
    '--json',
  ])
  expect(lines(over.out).at(-1)).toMatchObject({ length: 32, format: 'jsonl' })
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
  const args = [
    'run',
    ...config,
    '--corpus',
    corpus,
    '--corpus',
    second,
    '--boilerplate-phrases',
    'chess player',
    '--boilerplate-phrases',
    'steam engine',
  ]
  expect((await cli([...args, '--preset', 'paper', '--out', out('lists')])).status).toBe(0)
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

const wrongUsage: [string[], string[]][] = [
  [['rnu'], ['`rnu`', '`run`']],
  [['bake'], ['`bake`', 'run, plan, show']],
  [['help', 'vrify'], ['`verify`']],
  [
    ['run', '--lenght', '5'],
    ['--lenght', '--length'],
  ],
  [
    ['run', '--overflw=split'],
    ['--overflw', '--overflow'],
  ],
  [
    ['show', out('made'), '0', '--wy'],
    ['--wy', '--why'],
  ],
  [
    ['run', ...config, '--length', 'many', '--out', out('x')],
    ['--length', 'number', '"many"'],
  ],
  [
    ['run', ...config, '--length', '0', '--out', out('x')],
    ['`length`', 'OPTIONS_INVALID'],
  ],
  [
    ['run', ...config, '--length', '5', '--length', '6', '--out', out('x')],
    ['--length', 'once'],
  ],
  [['run', ...config], ['`output.directory`']],
  [['run', '--tokenizer', tokenizer, '--length', '8', '--out', out('x')], ['corpus']],
  [['run', ...config, 'stray', '--out', out('x')], ['`stray`']],
  [
    ['run', '--config', out('corpus.jsonl')],
    ['corpus.jsonl', 'JSON'],
  ],
  [['show'], ['output directory']],
  [['show', out('made')], ['number of the sequence']],
  [['show', out('made'), 'first'], ['"first"']],
  [['report'], ['output directory']],
  [
    ['report', '--output', out('x.html'), out('made')],
    ['--output', '--out'],
  ],
  [['tasks'], ['--run']],
  [['status'], ['output directory']],
  [
    ['status', out('made'), '--watch', '--every', 'often'],
    ['--every', '"often"'],
  ],
  [['clean'], ['--work']],
  [['run', ...config, '--disk-check', 'maybe', '--out', out('x')], ['`diskCheck`']],
  [['stage', 'scan', '--run', out('made')], ['--task, --shard and --all']],
  [
    ['stage', 'scan', '--run', out('made'), '--all', '--memory', 'lots'],
    ['--memory', '"lots"'],
  ],
  [
    ['keywords', '--min-score', 'high'],
    ['--min-score', '"high"'],
  ],
  [['train-tokenizer'], ['--corpus and --out']],
]

test.each(wrongUsage)('wrong usage ends with 2 and says what is right: longweave %j', async (args, says) => {
  const { status, out: text, err } = await cli(args)
  expect([status, text]).toEqual([2, ''])
  for (const part of says) expect(err).toContain(part)
  expect(err).not.toMatch(/\n\s+at /)
})

test.each([
  [['run', ...config, '--corpus', out('none.jsonl'), '--out', out('x')], 'INPUT_NOT_FOUND'],
  [['run', '--config', out('none.json')], 'INPUT_NOT_FOUND'],
  [['show', out('none'), '0'], 'OUTPUT_NOT_FOUND'],
  [['verify', out('none')], 'OUTPUT_NOT_FOUND'],
  [['report', out('none')], 'OUTPUT_NOT_FOUND'],
  [['tasks', '--run', out('none')], 'RUN_NOT_PREPARED'],
  [['status', out('none')], 'RUN_NOT_PREPARED'],
  [['clean', '--work', out('none')], 'INPUT_NOT_FOUND'],
  [['run', ...config, '--corpus', out('none.jsonl'), '--out', out('x'), '--dry-run'], 'INPUT_NOT_FOUND'],
  [['stage', 'scan', '--run', out('none'), '--all'], 'RUN_NOT_PREPARED'],
  [['keywords', '--run', out('none')], 'RUN_NOT_PREPARED'],
  [['train-tokenizer', '--corpus', out('none'), '--out', out('x')], 'INPUT_NOT_FOUND'],
])('failure ends with 1 and a message with its code: longweave %j', async (args, code) => {
  const { status, out: text, err } = await cli(args)
  expect([status, text]).toEqual([1, ''])
  expect(err).toMatch(new RegExp(`^longweave: .* \\[${code}\\]\n$`))
})

test('show prints each document with its words; --why adds the rule, pass and draw; --json is for programs', async () => {
  const [said, why, json] = await Promise.all([
    cli(['show', out('made'), '3']),
    cli(['show', out('made'), '3', '--why', '--words', '3']),
    cli(['show', out('made'), '3', '--why', '--json']),
  ])
  expect([said.status, why.status, json.status]).toEqual([0, 0, 0])
  const shown = lines(json.out)[0] as {
    pieces: { id: string; text: string; reason: string | null }[]
    why: { rule: string }
  }
  for (const { id, reason } of shown.pieces) {
    expect(said.out).toContain(id)
    if (reason !== null) expect(said.out).toContain(`[${reason}]`)
  }
  expect(said.out).not.toContain('why:')
  expect(why.out).toMatch(/why: .+\n {5}seed 0, epoch 0/)
  expect(why.out).toMatch(/group \d+: pass 1 of epoch 0/)
  expect(why.out).toMatch(/ w\d+ w\d+ w\d+ …/)
  expect(['group', 'related', 'next']).toContain(shown.why.rule)
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
  const run = ['run', ...config, '--corpus', path, '--tokenizer', out('evil.json'), '--length', '16', '--out', to]
  const said = [
    await cli([...run, '--json']),
    await cli(run),
    await cli(['show', to, '0', '--why']),
    await cli(['show', to, '0', '--json']),
    await cli(['keywords', '--run', to]),
    await cli(['run', ...config, '--corpus', `${path}.none`, '--out', out('x')]),
    await cli(['keywords'], { input: `big${evil} car\n` }),
    await cli([evil]),
    await cli(['verify', `${to}${lying}`]),
  ]
  expect(said.slice(0, 5).map(({ status, err }) => [status, err.includes('[')])).toEqual(
    Array.from({ length: 5 }, () => [0, false]),
  )
  expect(said[2]?.out).toContain('\\u001b]0;owned\\u0007\\u009b31m\\u202e\\u200f\\u2028\\u000a✓ all is well\\u0009')
  expect((lines(said[3]?.out ?? '')[0] as { pieces: { id: string }[] }).pieces[0]?.id).toContain(lying)
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
  const all = await cli(['keywords', '--min-score', '0', '--stop-words', 'fox', '--json'], {
    input: 'deep learning model',
  })
  expect(lines(all.out)).toEqual([[{ phrase: 'deep learning model', score: 9 }]])
  const top = await cli(['keywords', '--run', out('made'), '--top', '3'])
  expect(top.out.split('\n').length).toBe(5)
  const json = JSON.parse((await cli(['keywords', '--run', out('made'), '--top', '3', '--json'])).out) as {
    keyword: string
    documents: number
  }[]
  expect(json.map(({ documents: n }) => n)).toEqual(json.map(({ documents: n }) => n).toSorted((a, b) => b - a))
  for (const { keyword, documents: n } of json) {
    expect(top.out).toContain(`${n}  ${keyword}`)
    expect(documents.filter(({ query }) => query[0] === keyword).length).toBe(n)
  }
})

test('plan says what would come out; run with the same options goes on from there', async () => {
  const planned = await cli(['plan', ...config, '--out', out('planned'), '--json'])
  expect(lines(planned.out).at(-1)).toMatchObject({ type: 'summary', files: 0 })
  expect(filesOf(out('planned'))).toEqual({})
  const woven = await cli(['run', ...config, '--out', out('planned'), '--json'])
  expect(
    lines(woven.out)
      .filter(({ state }) => state === 'reused')
      .map(({ stage }) => stage),
  ).toContain('plan')
  expect(filesOf(out('planned'))).toEqual(filesOf(out('made')))
})

test('prepare, tasks and stage do by hand what run does', async () => {
  const to = out('by-hand')
  expect((await cli(['run', '--prepare', ...config, '--out', to])).out).toContain(`longweave tasks --run ${to}`)
  const info = async () =>
    JSON.parse((await cli(['tasks', '--run', to, '--json'])).out) as {
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
  const stage = async (...args: string[]) => {
    const { status, out: text, err } = await cli(['stage', ...args, '--run', to])
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
  expect((await cli(['tasks', '--run', to])).out).toMatch(/^stage +tasks +done +after\nscan +\d+ +\d+ +\n/)
  expect(filesOf(to)).toEqual(filesOf(out('made')))
})

test('verify finds a flipped byte, a file that is gone, one that is new, and a manifest that lies', async () => {
  const good = await cli(['verify', out('made')])
  expect(good).toMatchObject({ status: 0, err: '' })
  expect(good.out).toMatch(/^\d+ sequences, .* all as they should be\n$/)
  expect(lines((await cli(['verify', out('made'), '--json'])).out)[0]).toMatchObject({
    tokens: expect.any(Number) as number,
  })
  const to = out('broken')
  expect((await cli(['run', ...config, '--out', to])).status).toBe(0)
  const file = join(to, readdirSync(to).find((name) => name.endsWith('.parquet')) ?? '')
  const bytes = readFileSync(file)
  const flipped = Buffer.from(bytes)
  flipped[100] = (flipped[100] ?? 0) ^ 4
  const manifest = readFileSync(join(to, 'longweave.json'))
  const breaks: [() => void, () => void, RegExp][] = [
    [() => writeFileSync(file, flipped), () => writeFileSync(file, bytes), /\.parquet: its content differs/],
    [() => rmSync(file), () => writeFileSync(file, bytes), /\.parquet: the file is missing/],
    [
      () => writeFileSync(join(to, 'notes.txt'), ''),
      () => rmSync(join(to, 'notes.txt')),
      /notes\.txt: the file belongs to no/,
    ],
    [
      () => appendFileSync(join(to, 'longweave.json'), ' '),
      () => writeFileSync(join(to, 'longweave.json'), manifest),
      /longweave\.json: its content differs/,
    ],
  ]
  for (const [spoil, mend, says] of breaks) {
    spoil()
    const { status, err } = await cli(['verify', to])
    expect(status).toBe(1)
    expect(err).toMatch(says)
    expect(err).toContain('[VERIFY_FAILED]')
    mend()
    expect((await cli(['verify', to])).status).toBe(0)
  }
})

test('report writes a page of several outputs and says what is in it', async () => {
  const given = (['standard', 'knn', 'quest'] as const).map((method) =>
    writeReport(out(`report-${method}`), {
      ...madeReport(method, { browse: 3 }),
      part: method === 'knn' ? `main${hostile[8]}` : 'main',
    }),
  )
  const page = out('page.html')
  expect(await cli(['report', ...given, '--out', page])).toMatchObject({
    status: 0,
    err: '',
    out: expect.stringMatching(
      /page\.html: standard, knn, main\\u0000\\u001b\[31m, quest; 9 sequences to read; [\d.]+kB\n$/,
    ) as string,
  })
  expect(readFileSync(page, 'utf8').startsWith('<!doctype html>')).toBe(true)
  const json = await cli(['report', ...given.slice(0, 1), '--json'], { cwd: directory })
  expect(lines(json.out)[0]).toMatchObject({
    file: 'report.html',
    runs: [{ label: 'standard', sequences: 3, leftOut: 0 }],
  })
  writeFileSync(page, 'mine')
  expect(await cli(['report', ...given, '--out', page])).toMatchObject({
    status: 1,
    err: expect.stringMatching(/\[OUTPUT_EXISTS\]\n$/) as string,
  })
})

test('train-tokenizer makes a tokenizer that a run can use', async () => {
  const made = await cli(['train-tokenizer', '--corpus', corpus, '--vocab-size', '300', '--out', out('bpe.json')])
  expect(made).toMatchObject({ status: 0 })
  expect(made.out).toContain(out('bpe.json'))
  expect((await cli(['run', ...config, '--tokenizer', out('bpe.json'), '--out', out('bpe')])).status).toBe(0)
  expect((await cli(['show', out('bpe'), '0'])).out).toMatch(/w\d+ w\d+/)
})

test('output whose reader goes away is no failure', async () => {
  const main = new URL('../dist/cli/main.js', import.meta.url).pathname
  const { status, stderr } = spawnSync('sh', ['-c', `"${process.execPath}" "${main}" help run | head -1; exit $?`], {
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([0, ''])
})
