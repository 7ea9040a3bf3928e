// longweave task list, longweave task run: the same work as longweave run, handed out by Slurm, Ray or a shell loop.
import { bytes } from '../bytes.ts'
import type { Stage } from '../events.ts'
import { openRun } from '../prepared.ts'
import type { TaskSelection } from '../prepared.ts'
import { json, quietFlags, runDirectory } from './command.ts'
import type { Command } from './command.ts'
import { interruptible } from './interrupt.ts'
import { columns } from './layout.ts'
import { UsageError, parse, wholeNumber } from './parse.ts'
import { jsonLine } from './text.ts'

function size(text: string | boolean | undefined): number {
  const found = bytes(String(text))
  if (Number.isSafeInteger(found) && found > 0) return found
  throw new UsageError(`--memory must be a number of bytes, like 1073741824 or 2GiB, but is "${String(text)}"`)
}

/** The tasks that --task names: one, or a range without its end. */
function task(text: string | boolean | undefined): TaskSelection | undefined {
  if (text === undefined) return undefined
  const [, from, to] = /^(\d+)(?:\.\.(\d+))?$/.exec(String(text)) ?? []
  if (from === undefined)
    throw new UsageError(`--task must be a number, or a range like 3..9, but is "${String(text)}"`)
  return to === undefined ? Number(from) : { from: Number(from), to: Number(to) }
}

/** The tasks that --shard names. */
function shard(text: string | boolean | undefined): TaskSelection | undefined {
  if (text === undefined) return undefined
  const [, k, n] = /^(\d+)\/(\d+)$/.exec(String(text)) ?? []
  if (k === undefined || Number(k) >= Number(n))
    throw new UsageError(`--shard must be K/N with K < N, like 0/4, but is "${String(text)}"`)
  return { shard: [Number(k), Number(n)] }
}

export const taskListCommand: Command = {
  name: 'task list',
  group: 'tasks',
  summary: 'the stages of a run, their tasks and what they depend on',
  details:
    'The number of tasks of a stage is known once the stages that it depends on are complete; until then it is "?".',
  positionals: [runDirectory],
  flags: { json },
  options: null,
  json: 'StageInfo[]',
  examples: [
    'longweave task list out',
    'longweave task list out --json | jq \'.[] | select(.stage == "ingest").tasks\'',
  ],
  async run(args) {
    const { values, positionals } = parse(args, this)
    const list = await (await openRun(positionals[0] ?? '')).tasks()
    const rows = columns(
      [
        ['stage', 'tasks', 'done', 'after'],
        ...list.map((s) => [s.stage, String(s.tasks ?? '?'), String(s.done), s.dependsOn.join(', ')]),
      ],
      'lrrl',
    )
    process.stdout.write(values['json'] === true ? jsonLine(list) : `${rows.join('\n')}\n`)
  },
}

export const taskRunCommand: Command = {
  name: 'task run',
  group: 'tasks',
  summary: 'run tasks of one stage of a prepared run',
  details: `Idempotent: a task that is done is skipped. Tasks of one stage can run at the same time on any machine that sees the corpus and the directories. Run the stages in the order of \`longweave task list\`.`,
  positionals: [runDirectory, { name: 'STAGE', description: 'a stage of `longweave task list`' }],
  flags: {
    task: {
      value: 'N',
      description: 'One task, or a range without its end, like 3..9.',
      when: 'Use it in a job array.',
    },
    shard: {
      value: 'K/N',
      description: 'Every N-th task, beginning with task K.',
      when: 'Use it for a fixed number of workers.',
    },
    all: { description: 'All tasks of the stage.' },
    threads: { value: 'N', description: 'Threads; 0 for one per core.', default: '0' },
    memory: {
      value: 'SIZE',
      description: 'Most heap of this process, like 2GiB.',
      default: '2GiB',
    },
    scratch: {
      value: 'DIR',
      description:
        'Directory on a disk of this machine for temporary files; without it they are in the work directory.',
      when: 'Use it when the work directory is on a network file system.',
    },
    json,
    quiet: { ...quietFlags['quiet'], description: 'Prints nothing but errors.' },
  },
  options: null,
  json: 'TaskRecord[]',
  examples: [
    'longweave task run out scan --all',
    'longweave task run out ingest --task $SLURM_ARRAY_TASK_ID',
    'longweave task run out pack --shard 0/4',
  ],
  async run(args) {
    const { values, positionals } = parse(args, this)
    const [directory = '', name = ''] = positionals
    const given = [task(values['task']), shard(values['shard']), values['all'] === true ? ('all' as const) : undefined]
    const [tasks, more] = given.filter((selection) => selection !== undefined)
    if (tasks === undefined || more !== undefined)
      throw new UsageError('give one of --task, --shard and --all', this.name)
    const options = {
      threads: wholeNumber(values['threads'], '--threads'),
      memory: size(values['memory']),
      ...(typeof values['scratch'] === 'string' && { scratch: values['scratch'] }),
    }
    return interruptible('finished tasks are kept.', async (signal) => {
      const run = await openRun(directory, { signal })
      const records = await run.runTasks({ stage: name as Stage, tasks, ...options, signal })
      if (values['quiet'] === true) return
      process.stdout.write(
        values['json'] === true
          ? jsonLine(records)
          : records.map((r) => `${r.stage} ${r.task} done, ${r.files.length} files\n`).join(''),
      )
    })
  },
}
