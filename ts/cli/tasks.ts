// longweave tasks, longweave stage: the same work, handed out by Slurm, Ray or a shell loop.
import { stage, tasks } from '../output.ts'
import { resolveSize } from '../schema.ts'
import type { Command } from './commands.ts'
import { jsonLine } from './text.ts'
import { UsageError, parse, required, wholeNumber } from './usage.ts'

const row = (cells: string[]) =>
  `${(cells[0] ?? '').padEnd(12)}${(cells[1] ?? '').padStart(8)}${(cells[2] ?? '').padStart(8)}   ${cells[3] ?? ''}`

function size(text: string | boolean | undefined): number {
  try {
    return resolveSize(String(text))
  } catch {
    throw new UsageError(`--memory must be a number of bytes, like 1073741824 or 2GiB, but is "${String(text)}"`)
  }
}

export const tasksCommand: Command = {
  name: 'tasks',
  summary: "a prepared run's stages, tasks and what they depend on",
  usage: 'longweave tasks --run OUT [--json]',
  details: 'The number of tasks of a stage is known once the stages it depends on are complete.',
  flags: {
    run: { type: 'string', description: 'output directory of a prepared run' },
    json: { type: 'boolean', description: 'as JSON' },
  },
  options: null,
  examples: ['longweave run --prepare --config run.json --out out', 'longweave tasks --run out --json'],
  async run(args) {
    const { values } = parse(args, this.flags)
    if (typeof values['run'] !== 'string') throw new UsageError('--run OUT is missing')
    const list = tasks(values['run'])
    const rows = [
      row(['stage', 'tasks', 'done', 'after']),
      ...list.map((s) =>
        row([s.stage, s.tasks === null ? '?' : String(s.tasks), String(s.done), s.dependsOn.join(', ')]),
      ),
    ]
    process.stdout.write(values['json'] === true ? jsonLine(list) : `${rows.join('\n')}\n`)
  },
}

export const stageCommand: Command = {
  name: 'stage',
  summary: 'run tasks of one stage of a prepared run',
  usage: 'longweave stage NAME --run OUT (--task 17 | --task 3..9 | --shard K/N | --all)',
  details:
    'Idempotent: a task that is done is passed over. Tasks of one stage can run at once on any machine that sees the corpus and the directories.',
  flags: {
    run: { type: 'string', description: 'output directory of a prepared run' },
    task: { type: 'string', description: 'a task, or a range without its end: 3..9' },
    shard: { type: 'string', description: 'each N-th task from the K-th on: K/N' },
    all: { type: 'boolean', description: 'all tasks' },
    threads: { type: 'string', description: 'threads; 0 for one per core', default: '0' },
    memory: { type: 'string', description: 'bytes of heap', default: '2GiB' },
    json: { type: 'boolean', description: 'as JSON' },
  },
  options: null,
  examples: [
    'longweave stage scan --run out --all',
    'longweave stage ingest --run out --task $SLURM_ARRAY_TASK_ID',
    'longweave stage pack --run out --shard 0/4',
  ],
  async run(args) {
    const { values, positionals } = parse(args, this.flags, { most: 1 })
    const name = required(positionals, 0, "the stage's name")
    if (typeof values['run'] !== 'string') throw new UsageError('--run OUT is missing')
    const given = [
      values['task'],
      values['shard'] === undefined ? undefined : `shard:${String(values['shard'])}`,
      values['all'] === true ? 'all' : undefined,
    ].filter((s) => s !== undefined)
    if (given.length !== 1) throw new UsageError('give one of --task, --shard and --all')
    const records = await stage(values['run'], name, String(given[0]), {
      threads: wholeNumber(values['threads'], '--threads'),
      memory: size(values['memory']),
    })
    process.stdout.write(
      values['json'] === true
        ? jsonLine(records)
        : records.map((r) => `${r.stage} ${r.task} done, ${r.files.length} files\n`).join(''),
    )
  },
}
