// longweave script slurm: the printed script runs, with a program in place of sbatch that runs a job's tasks at once. scripts/slurm/run.py has the real one.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'
import { weave } from '../ts/index.ts'
import type { RunOptions } from '../ts/index.ts'
import { argv, cli, dataOf, folder, plain, randomCorpus, root, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const at = (name: string) => join(directory, name)
const options = {
  ...plain,
  corpus: writeJsonl(at('corpus.jsonl'), randomCorpus(5, 80, 40)),
  tokenizer: wordTokenizer(directory),
  length: 64,
  splitBytes: 4000,
}
// A name that a shell must not take apart.
const config = at("run it's.json")
writeFileSync(config, JSON.stringify({ ...options, output: { directory: at('of the file') } }))
const out = at("out of $HOME it's")
const bash = process.platform !== 'win32' && spawnSync('bash', ['--version']).status === 0

function program(name: string, text: string): void {
  mkdirSync(at('bin'), { recursive: true })
  writeFileSync(join(at('bin'), name), text)
  chmodSync(join(at('bin'), name), 0o755)
}
program('longweave', `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'dist/cli/main.js')}" "$@"\n`)
program(
  'sbatch',
  `#!/usr/bin/env bash
# Runs each task of the array, prints the number of the job, and writes its arguments down.
printf '%s\\n' "$*" >> "${at('submitted')}"
while [[ "$1" == --* ]]; do case "$1" in --array=*) last="\${1##*-}";; esac; shift; done
for ((i = 0; i <= last; i++)); do
  SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=$((last + 1)) bash "$@" >&2 || exit 1
done
echo "$(wc -l < "${at('submitted')}");cluster"
`,
)

function run(script: string, ...args: string[]) {
  const path = at('script.sh')
  writeFileSync(path, script)
  const env = { ...process.env, PATH: `${at('bin')}${delimiter}${process.env['PATH'] ?? ''}` }
  return spawnSync('bash', [...args, path], { encoding: 'utf8', env })
}
const submitted = () => readFileSync(at('submitted'), 'utf8').trim().split('\n')

test.skipIf(!bash)(
  'the script with arrays does the stages in order, and what is left when it is run again',
  async () => {
    const printed = await cli(argv`script slurm --config ${config} --out ${out} --nodes 3 --cpus 1 --memory 64MiB`)
    expect(printed.status, printed.err).toBe(0)
    const first = run(printed.out)
    expect(first.status, first.stderr).toBe(0)
    const local = at('local')
    await weave({ ...options, output: { directory: local } } as RunOptions).finished
    expect(dataOf(out)).toEqual(dataOf(local))
    const lines = submitted()
    expect(lines[0]).toMatch(/--job-name=longweave-scan --array=0-2 /)
    expect(lines[0]).not.toContain('afterok')
    expect(lines.find((line) => line.includes('longweave-plan'))).toMatch(/--array=0-0 .*--dependency=afterok:\d+ /)
    expect(first.stdout).toMatch(/^scan: job 1;cluster$/m)
    // Complete stages are not submitted again; one that lost its results is.
    const again = run(printed.out)
    expect([again.status, again.stdout, submitted().length]).toEqual([0, '', lines.length])
    rmSync(join(out, 'longweave.json'))
    const seal = run(printed.out)
    expect([seal.status, seal.stdout]).toEqual([0, expect.stringMatching(/^seal: job \d+;cluster\n$/)])
  },
)

test.skipIf(!bash)('the script with Ray is bash, has a token of its own and no other', async () => {
  const printed = await cli(argv`script slurm --config ${config} --nodes 5 --form ray`)
  expect(run(printed.out, '-n')).toMatchObject({ status: 0, stderr: '' })
  expect(printed.out).toMatch(/#SBATCH --nodes=5\n/)
  expect(printed.out).toContain('RAY_AUTH_TOKEN=$(od ')
  expect(printed.out).toContain('--nodes "$SLURM_JOB_NUM_NODES"')
  expect(printed.out).toContain(`out='${at('of the file')}'`)
  expect(printed.out).toContain(String.raw`config='${config.replace("'", String.raw`'\''`)}'`)
})

test('mistakes are found before anything is queued', async () => {
  const wrong = at('wrong.json')
  writeFileSync(wrong, JSON.stringify({ ...options, lenght: 3 }))
  for (const [args, message] of [
    [argv`--config ${config}`, '--nodes is missing'],
    [argv`--config ${config} --nodes 0`, 'must be at least 1'],
    [argv`--config ${config} --nodes 2 --memory much`, '--memory must be a number of bytes'],
    [argv`--config ${wrong} --nodes 2 --out x`, 'have no `lenght`'],
    [argv`--config ${config} --nodes 2 --form swarm`, 'arrays or ray'],
  ] as const) {
    const { status, err, out: printed } = await cli(['script', 'slurm', ...args])
    expect([status, printed]).toEqual([2, ''])
    expect(err).toContain(message)
  }
})
