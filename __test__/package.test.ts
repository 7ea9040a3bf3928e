// The package as it is published: packed, installed in an empty project, used there.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
}, 120_000)

test('it brings what it needs and nothing of the workshop', () => {
  const installed = join(project, 'node_modules', 'longweave')
  expect(readdirSync(installed).toSorted()).toEqual(
    expect.arrayContaining(['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'binding', 'dist', 'package.json']),
  )
  for (const name of ['app.js', 'app.css', 'LICENSES.txt'])
    expect(existsSync(join(installed, 'dist/report', name)), name).toBe(true)
  for (const name of ['ts', 'crates', '__test__', 'scripts', 'benches', 'target', 'out', 'node_modules'])
    expect(existsSync(join(installed, name)), name).toBe(false)
  expect(
    readdirSync(join(project, 'node_modules'))
      .filter((name) => !name.startsWith('.'))
      .toSorted(),
  ).toEqual(['longweave', ...Object.keys(manifest.dependencies)].toSorted())
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
