// Systems that refuse: a disk that is really full, a limit of a file's size, a directory that may not be written. The run says so, and
// the same command resumes once there is room.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { RunOptions } from '../ts/index.ts'
import { cli, filesOf, finished, folder, plain, randomCorpus, root, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const out = (name: string) => join(directory, name)
const corpus = writeJsonl(out('corpus.jsonl'), randomCorpus(12, 3_000, 60))
const options: RunOptions = {
  ...plain,
  corpus,
  tokenizer: wordTokenizer(directory),
  length: 256,
  holdout: 0.1,
  splitBytes: 100_000,
  output: { format: 'jsonl', compression: 'none', shardTokens: 8192 },
}
const config = out('config.json')
writeFileSync(config, JSON.stringify(options))
let expected: Record<string, string>
beforeAll(async () => {
  await finished({ ...options, output: { ...options.output, directory: out('expected') } })
  expected = filesOf(out('expected'))
})

/** The command of a run into `to`, for a shell. */
const command = (to: string) =>
  [process.execPath, join(root, 'dist/cli/main.js'), 'run', '--config', config, '--out', to]
    .map((part) => `'${part}'`)
    .join(' ')
/** Exit and output of a shell script. */
function shell(script: string, user: number | undefined = undefined) {
  const { status, signal, stdout, stderr } = spawnSync('sh', ['-c', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
    ...(user === undefined ? {} : { uid: user, gid: user }),
  })
  return { status, signal, out: stdout, err: stderr }
}
const linux = process.platform === 'linux'
/** Whether an ordinary user may have a file system of its own here. */
const mounts = linux && spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', directory]).status === 0

test.runIf(mounts)('a file system that is full, at whatever moment, is told, and a larger one goes on', () => {
  const disk = out('disk')
  mkdirSync(disk)
  // The file system is there as long as the shell: each time it grows a little, until the run fits.
  const script = `set -u
    mount -t tmpfs -o size=64k none '${disk}'
    for size in 64k 96k 160k 256k 400k 640k 1m 1600k 2500k 4m 6m 10m 16m 64m; do
      mount -o remount,size=$size '${disk}'
      if ${command(join(disk, 'out'))} --disk-check off >'${out('told')}' 2>&1; then break; fi
      cat '${out('told')}' >&2
    done
    find '${disk}' -name '*.part'
    cp -r '${join(disk, 'out')}' '${out('copied')}'`
  const ended = spawnSync('unshare', ['-rm', 'sh', '-c', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  expect(ended.status, ended.stderr).toBe(0)
  const told = [...ended.stderr.matchAll(/longweave: .*\[([A-Z_]+)\]/g)].map(([, code]) => code)
  expect(told.length, ended.stderr).toBeGreaterThan(4)
  expect(new Set(told)).toEqual(new Set(['DISK_FULL']))
  expect(ended.stderr).toContain('free some space and run again')
  expect(ended.stdout).toBe('')
  expect(filesOf(out('copied'))).toEqual(expected)
})

test.runIf(linux)('a limit of the size of files is told, and without it the same command goes on', async () => {
  const to = out('limited')
  const { status, signal, err } = shell(`ulimit -f 24; exec ${command(to)}`)
  expect([status, signal], err).toEqual([1, null])
  expect(err).toMatch(/cannot write .*too large.*ulimit -f.* \[IO\]/)
  expect(readdirSync(to, { recursive: true }).filter((name) => String(name).endsWith('.part'))).toEqual([])
  expect((await cli(['run', '--config', config, '--out', to])).status).toBe(0)
  expect(filesOf(to)).toEqual(expected)
})

/** A user who may read what is here, but write nothing. */
const nobody = process.getuid?.() === 0 ? 65_534 : process.getuid?.()
const readable =
  linux && shell(`'${process.execPath}' '${join(root, 'dist/cli/main.js')}' --version`, nobody).status === 0

test.runIf(readable)(
  'directories that may not be written are told by name, and once they may the same command goes on',
  async () => {
    chmodSync(directory, 0o755)
    const to = out('closed')
    mkdirSync(to)
    chmodSync(to, 0o555)
    const denied = shell(command(to), nobody)
    expect(denied.status).toBe(1)
    expect(denied.err).toMatch(/closed.*choose a directory that you may write to.*\[OUTPUT_DENIED\]/)
    chmodSync(to, 0o777)
    // A work directory that turns read-only half way: the stages that are done are read, the next one is refused.
    const prepared = shell(
      `${command(to).replace("'run'", "'prepare'")} && ${[process.execPath, join(root, 'dist/cli/main.js'), 'task', 'run', to, 'scan', '--all'].map((part) => `'${part}'`).join(' ')}`,
      nobody,
    )
    expect(prepared.status, prepared.err).toBe(0)
    chmodSync(join(to, '.work'), 0o555)
    const half = shell(command(to), nobody)
    expect(half.status).toBe(1)
    expect(half.err).toMatch(/ingest-.*\[OUTPUT_DENIED\]/)
    chmodSync(join(to, '.work'), 0o777)
    const { status, err } = shell(command(to), nobody)
    expect(status, err).toBe(0)
    cpSync(to, out('opened'), { recursive: true })
    expect(filesOf(out('opened'))).toEqual(expected)
  },
)
