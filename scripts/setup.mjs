// Installs and builds what is missing, and says what it does. Needs Node, npm and cargo, and no package. Idempotent: a second call takes a second.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

function spawn(title, program, args, env) {
  console.log(`\n▸ ${title}\n  ${program} ${args.join(' ')}`)
  return spawnSync(program, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } })
}

/** Runs a program whose failure ends nothing: then `otherwise` happens. */
export function attempt(title, program, args, otherwise) {
  const { status } = spawn(title, program, args, {})
  if (status !== 0) console.log(`  ! ${title}: that failed, so ${otherwise}`)
}

/** Runs a program with its output shown; ends this process with its status when it fails. */
export function run(title, program, args, env = {}) {
  const start = Date.now()
  const { status, error } = spawn(title, program, args, env)
  if (error)
    fail(
      `${program} cannot be started (${error.message}). longweave builds with Node ≥ 20.19, npm and Rust ≥ 1.92 (https://rustup.rs).`,
    )
  if (status !== 0) fail(`${title} failed (${program} ended with ${status}).`)
  console.log(`  ${((Date.now() - start) / 1000).toFixed(1)} s`)
}

export function fail(message) {
  console.error(`\n${message}`)
  process.exit(1)
}

/** The host's target triple. Cargo, clippy and napi all build for it by name, so that they share their results. */
export function target() {
  const { status, stdout, error } = spawnSync('rustc', ['-vV'], { encoding: 'utf8' })
  const host = status === 0 ? /^host: (.+)$/m.exec(stdout)?.[1] : undefined
  if (error || !host) fail('rustc was not found. Install Rust ≥ 1.92 (https://rustup.rs) and run this again.')
  return host
}

export function cargoEnvironment() {
  return { CARGO_BUILD_TARGET: target() }
}

function filesBelow(directory, keep) {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    return entry.isDirectory() ? filesBelow(path, keep) : keep(path) ? [path] : []
  })
}

/** Runs `make` unless the files named in `inputs` are those of the last time it succeeded and `output` is there. */
export function whenChanged(name, inputs, output, make) {
  const hash = createHash('sha256')
  for (const path of inputs.toSorted())
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(root, path)))
      .update('\0')
  const digest = hash.digest('hex')
  const stamp = join(root, 'node_modules', '.longweave', name)
  if (existsSync(join(root, output)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return false
  make()
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, digest)
  return true
}

/** npm packages, the native addon, the compiled TypeScript: whatever is missing or out of date. */
export function setUp() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    fail(`longweave needs Node ≥ 20.19; this is ${process.versions.node}.`)
  const build = cargoEnvironment()
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const done = []
  const did = (what, changed) => changed && done.push(what)
  did(
    'packages',
    whenChanged('packages', ['package.json', 'package-lock.json'], 'node_modules/.package-lock.json', () =>
      run('Installing npm packages', npm, ['ci', '--no-audit', '--no-fund']),
    ),
  )
  const rust = [
    'Cargo.toml',
    'Cargo.lock',
    ...filesBelow('crates', (path) => !/[/\\](tests|examples|benches)[/\\]/.test(path)),
  ]
  did(
    'addon',
    whenChanged('addon', rust, 'binding/index.cjs', () => {
      console.log('\n▸ Building the Rust core: about 5 minutes the first time on 2 cores, seconds afterwards')
      run('Building the native addon', npm, ['run', 'build:native'], build)
    }),
  )
  const typescript = [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'tsconfig.page.json',
    'scripts/cli.mjs',
    'scripts/notices.mjs',
    'scripts/page.mjs',
    ...filesBelow('ts', () => true),
  ]
  did(
    'dist',
    whenChanged('dist', [...typescript, 'binding/index.d.ts'], 'dist/index.js', () =>
      run('Compiling TypeScript', npm, ['run', 'build']),
    ),
  )
  if (done.length === 0) console.log('▸ Everything is installed and built.')
}

if (process.argv[1] && statSync(process.argv[1]).ino === statSync(fileURLToPath(import.meta.url)).ino) setUp()
