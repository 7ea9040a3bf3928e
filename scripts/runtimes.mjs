// Runs scripts/runtimes/program.mjs under each runtime that the npm registry has and writes docs/runtimes.md. The
// program uses the package as it is published: packed, installed in an empty project. Without the registry, runtimes
// are skipped and the page is left as it is.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'

const root = fileURLToPath(new URL('..', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'longweave-runtimes-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
/** Only a program that hangs takes that long, on any machine. */
const patience = 300_000

/** Name, npm package, executable, arguments before a program. */
const runtimes = [
  ['Node 20', 'node@20', 'node', []],
  ['Node 22', 'node@22', 'node', []],
  ['Node 24', 'node@24', 'node', []],
  ['Bun', 'bun', 'bun', []],
  ['Deno', 'deno', 'deno', ['run', '--allow-all', '--node-modules-dir=manual']],
]

const npm = (args, cwd) => spawnSync('npm', [...args, '--no-audit', '--no-fund'], { cwd, encoding: 'utf8' })
const must = (result, what) => {
  if (result.status !== 0) throw new Error(`${what}: ${result.stdout}${result.stderr}`)
  return result.stdout
}

/** An empty project with the packed package, its dependencies as they are here, and ONNX Runtime. */
function project() {
  const path = join(directory, 'project')
  mkdirSync(path)
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name: 'program', private: true, type: 'module' }))
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const tarballs = [root, ...Object.keys(dependencies).map((name) => join(root, 'node_modules', name))].map((from) => {
    const text = must(npm(['pack', from, '--ignore-scripts', '--json', '--pack-destination', directory], root), from)
    return join(directory, JSON.parse(text)[0].filename)
  })
  must(npm(['install', '--offline', '--ignore-scripts', ...tarballs], path), 'install')
  symlinkSync(join(root, 'node_modules/onnxruntime-node'), join(path, 'node_modules/onnxruntime-node'))
  cpSync(join(root, 'scripts/runtimes/program.mjs'), join(path, 'program.mjs'))
  return path
}

/** The executable of a runtime, or why there is none. */
function installed([, source, executable]) {
  const path = join(directory, source.replace('@', '-'))
  mkdirSync(path)
  writeFileSync(join(path, 'package.json'), '{ "private": true }')
  const { status, stderr } = npm(['install', source], path)
  const found = join(path, 'node_modules/.bin', executable)
  return status === 0 && existsSync(found) ? { found } : { missing: stderr.trim().split('\n').at(-1) ?? 'not found' }
}

/** Runs the program: what the runtime calls itself, and the checks. */
function checked(command, before, cwd) {
  return new Promise((resolve) => {
    const child = spawn(command, [...before, 'program.mjs', join(root, '__test__/fixtures')], {
      cwd,
      env: { ...process.env, NODE_OPTIONS: '', PATH: `${dirname(command)}:${process.env.PATH}` },
    })
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (chunk) => (out += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk) => (err += chunk))
    const hangs = setTimeout(() => child.kill('SIGKILL'), patience)
    child.on('close', (status, signal) => {
      clearTimeout(hangs)
      const checks = new Map()
      let name
      for (const line of out.split('\n').filter((text) => text.startsWith('{'))) {
        const { runtime, check, ok, error } = JSON.parse(line)
        if (runtime !== undefined) name = runtime
        else checks.set(check, ok === undefined ? 'crashes' : ok ? 'yes' : 'no')
        if (error) console.log(`    ${check}: ${error}`)
      }
      checks.set('the process ends by itself', status === 0 ? 'yes' : 'no')
      if (status !== 0)
        console.log(`    ended with ${status ?? signal}: ${err.trim().split('\n').slice(-5).join('\n')}`)
      resolve({ name, checks })
    })
  })
}

const cwd = project()
const tested = []
const skipped = []
for (const runtime of runtimes) {
  const [name, , , before] = runtime
  const { found, missing } = installed(runtime)
  if (found === undefined) {
    console.log(`${name}: skipped, ${missing}`)
    skipped.push(name)
    continue
  }
  console.log(name)
  const run = await checked(found, before, cwd)
  const command = join('node_modules', 'longweave', 'dist', 'cli', 'main.js')
  const { status } = spawnSync(found, [...before, command, '--version'], { cwd })
  run.checks.set('the command line', status === 0 ? 'yes' : 'no')
  // The runtime says itself which it is.
  tested.push({ name: run.name ?? name, checks: run.checks })
}

if (skipped.length > 0) {
  console.log(`docs/runtimes.md is left as it is: ${skipped.join(', ')} could not be installed`)
} else {
  const rows = [...new Set(tested.flatMap(({ checks }) => [...checks.keys()]))]
  const table = [
    ['', ...tested.map(({ name }) => name)],
    ['---', ...tested.map(() => '---')],
    ...rows.map((row) => [row, ...tested.map(({ checks }) => checks.get(row) ?? 'not reached')]),
  ]
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const libc = process.report.getReport().header.glibcVersionRuntime
  const page = `# Runtimes

longweave needs a runtime that loads Node-API addons. \`node scripts/runtimes.mjs\` installs each
runtime from npm, runs one program that touches every public function of the packed package, and
writes this table. Each cell says whether the check held.

longweave ${version}, ${process.platform} ${process.arch}${libc ? `, glibc ${libc}` : ''}, ${new Date().toISOString().slice(0, 10)}.

${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
`
  const path = join(root, 'docs/runtimes.md')
  writeFileSync(path, await format(page, { ...(await resolveConfig(path)), parser: 'markdown' }))
}
