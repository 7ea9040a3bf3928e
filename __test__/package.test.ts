// The package as it is published: packed, installed in an empty project, used there.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { madeReport, writeReport } from './reports.ts'
import { folder, randomCorpus, root, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const project = join(directory, 'project')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string
  dependencies: Record<string, string>
}

function run(program: string, args: string[], cwd = project): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
    shell: process.platform === 'win32',
  })
  expect(status, `${program} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}${stderr}`).toBe(0)
  return stdout
}

/** Packs a package folder; the tarball's path. */
function pack(path: string): string {
  const [packed] = JSON.parse(
    run('npm', ['pack', path, '--ignore-scripts', '--json', '--pack-destination', directory], root),
  ) as { filename: string }[]
  return join(directory, packed?.filename ?? '')
}

beforeAll(() => {
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', version: '1.0.0', private: true }))
  // Its dependencies are packed too, as they are installed here: nothing is fetched.
  const tarballs = [root, ...Object.keys(manifest.dependencies).map((name) => join(root, 'node_modules', name))].map(
    pack,
  )
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs])
})

test('it brings what it needs and nothing of the workshop', () => {
  const installed = join(project, 'node_modules', 'longweave')
  const files = readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(installed, join(entry.parentPath, entry.name)).split(sep).join('/'))
  const needed = [
    'CHANGELOG.md',
    'FORMATS.md',
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'package.json',
    'binding/index.cjs',
    'binding/index.d.ts',
    'dist/index.d.ts',
    'dist/index.js',
    'dist/cli/LICENSES.txt',
    'dist/cli/main.js',
    'dist/report/LICENSES.txt',
    'dist/report/app.css',
    'dist/report/app.js',
  ]
  expect(files).toEqual(expect.arrayContaining(needed))
  const kinds = [
    /^binding\/longweave\.[\w-]+\.node$/,
    /^dist\/(generated\/)?[\w-]+\.(js|d\.ts)$/,
    /^dist\/cli\/[\w-]+\.js$/,
  ]
  expect(files.filter((file) => !needed.includes(file) && !kinds.some((kind) => kind.test(file)))).toEqual([])
  // Every module of the source is there, and no other.
  const modules = readdirSync(join(root, 'ts'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `dist/${name.replace(/ts$/, 'js')}`)
  expect(files.filter((file) => /^dist\/[\w-]+\.js$/.test(file)).toSorted()).toEqual(modules.toSorted())
  expect(
    readdirSync(join(project, 'node_modules'))
      .filter((name) => !name.startsWith('.'))
      .toSorted(),
  ).toEqual(['longweave', ...Object.keys(manifest.dependencies)].toSorted())
})

/** A program of a few lines, as users of any tool begin: it weaves in memory and prints how many sequences. */
const weaves = (more = '') => `
const corpus = Array.from({ length: 40 }, (_, i) => ({ id: String(i), text: 'w1 w2 w3 '.repeat(10 + i) }))
const run = weave({ corpus, tokenizer: TOKENIZER, method: 'standard', length: 32, output: { format: 'memory' } })
let sequences = 0
for await (const { inputIds } of run.sequences()) sequences += inputIds.length / 32
const { plan } = await run.finished
${more}
`
const head = () => `const TOKENIZER = ${JSON.stringify(wordTokenizer(project))}`
const prints = 'console.log(sequences === plan?.sequences && sequences > 10)'
/** Tools that the programs run under, as they are installed here. */
const tool = (name: string) => join(root, 'node_modules', name)
function write(name: string, text: string): string {
  writeFileSync(join(project, name), text)
  return name
}

test('tsx runs a TypeScript program that uses it', () => {
  write('tsx.mts', `import { weave } from 'longweave'\n${head()}${weaves(prints)}`)
  expect(run('node', [join(tool('tsx'), 'dist/cli.mjs'), 'tsx.mts'])).toBe('true\n')
})

test('a worker thread uses it, beside the main thread', () => {
  write(
    'worker.mjs',
    `import { Worker, isMainThread } from 'node:worker_threads'
import { weave } from 'longweave'
${head()}
if (isMainThread) new Worker(new URL(import.meta.url)).on('exit', (code) => console.log('worker', code))
${weaves(prints)}`,
  )
  expect(run('node', ['worker.mjs']).trim().split('\n').toSorted()).toEqual(['true', 'true', 'worker 0'])
})

test.each(['forks', 'threads', 'vmForks', 'vmThreads'])('vitest runs tests that use it, in the pool %s', (pool) => {
  // Linked for the test alone: vitest finds itself from the tests that it runs.
  const link = join(project, 'node_modules', 'vitest')
  if (!existsSync(link)) symlinkSync(tool('vitest'), link)
  write(
    'longweave.test.js',
    `import { expect, test } from 'vitest'
import { LongweaveError, weave } from 'longweave'
${head()}
test('weaves', async () => {${weaves('expect(sequences).toBe(plan.sequences)')}})
test('fails', async () => {
  const { finished } = weave({ corpus: 'none', tokenizer: 'none', length: 8, output: { format: 'memory' } })
  await expect(finished).rejects.toBeInstanceOf(LongweaveError)
})`,
  )
  try {
    const vitest = [join(tool('vitest'), 'vitest.mjs'), 'run', '--root', project, '--pool', pool]
    expect(run('node', vitest)).toMatch(/2 passed/)
  } finally {
    rmSync(link)
  }
})

test.each(['esm', 'cjs'] as const)('esbuild bundles a program as %s, with the addon left outside', (format) => {
  const out = format === 'esm' ? 'bundle.mjs' : 'bundle.cjs'
  write(
    'entry.js',
    `import { weave } from 'longweave'\n${head()}\nexport const main = async () => {${weaves(prints)}}\nvoid main()`,
  )
  const esbuild = [
    join(tool('esbuild'), 'bin/esbuild'),
    'entry.js',
    '--bundle',
    '--platform=node',
    '--external:longweave',
  ]
  run('node', [...esbuild, `--format=${format}`, `--outfile=${out}`])
  expect(run('node', [out])).toBe('true\n')
})

test('rolldown bundles a program, with the addon left outside', () => {
  write(
    'rolled.js',
    `import { weave } from 'longweave'\n${head()}\nconst main = async () => {${weaves(prints)}}\nvoid main()`,
  )
  const rolldown = [join(tool('rolldown'), 'bin/cli.mjs'), 'rolled.js', '--platform', 'node', '--external', 'longweave']
  run('node', [...rolldown, '--file', 'rolled.mjs'])
  expect(run('node', ['rolled.mjs'])).toBe('true\n')
})

test('an ES module and a CommonJS program weave a corpus, and the types are sound without skipLibCheck', () => {
  const corpus = writeJsonl(join(project, 'corpus.jsonl'), randomCorpus(8, 40, 30))
  wordTokenizer(project)
  const options = { corpus, idField: 'id', tokenizer: 'words.json', method: 'standard', length: 32 }
  const program = `
const run = weave({ ...${JSON.stringify(options)}, method: 'standard', output: { directory: OUT, format: 'jsonl' } })
let stages = 0
for await (const event of run) if (event.type === 'stage' && event.state === 'done') stages += 1
const summary = await run.finished
const report = await verify(OUT)
console.log(stages, summary.plan?.sequences === report.sequences, report.tokens)
`
  writeFileSync(
    join(project, 'program.mts'),
    `import { verify, weave } from 'longweave'\nconst OUT = 'out-esm'${program}`,
  )
  writeFileSync(
    join(project, 'program.mjs'),
    `import { verify, weave } from 'longweave'\nconst OUT = 'out-esm'${program}`,
  )
  writeFileSync(
    join(project, 'program.cjs'),
    `const { verify, weave } = require('longweave')\nconst OUT = 'out-cjs'\n;(async () => {${program}})()`,
  )
  const [esm, cjs] = [run('node', ['program.mjs']), run('node', ['program.cjs'])]
  expect(esm).toMatch(/^8 true \d+\n$/)
  expect(cjs).toBe(esm)
  const settings = {
    compilerOptions: {
      strict: true,
      noEmit: true,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable', 'dom'],
      types: [],
    },
    files: ['program.mts'],
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(settings))
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project])
})

test('its command is installed', () => {
  const command = join(project, 'node_modules', '.bin', 'longweave')
  expect(run(command, ['--version'])).toBe(`${manifest.version}\n`)
  expect(run(command, ['help'])).toContain('Usage: longweave COMMAND')
  expect(run(command, ['report', writeReport(join(project, 'reported'), madeReport('quest'))])).toContain(
    'report.html: quest',
  )
})

test('the binding is private: no way in but the package’s own name', () => {
  const program =
    "for (const name of ['longweave/binding/index.cjs', 'longweave/dist/weave.js']) try { require(name); console.log('open') } catch (e) { console.log(e.code) }"
  expect(run('node', ['-e', program])).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\nERR_PACKAGE_PATH_NOT_EXPORTED\n')
})
