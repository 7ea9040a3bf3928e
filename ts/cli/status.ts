// longweave status.
import { status } from '../status.ts'
import type { RunStatus, LogMessage, StageStatus } from '../status.ts'
import { json, runDirectory } from './command.ts'
import type { Command } from './command.ts'
import { bytes, grouped, number, time } from './units.ts'
import { jsonLine, printable } from './text.ts'
import { columns, fold } from './layout.ts'
import { UsageError, parse, wholeNumber } from './parse.ts'

const marks: Record<StageStatus['state'], string> = { done: '✓', running: '▸', open: '○', waiting: '·' }

function tasksOf({ tasks, done, running, elsewhere }: StageStatus): string {
  if (tasks === null) return '? tasks'
  const held = [
    [running, 'running'],
    [elsewhere, 'held elsewhere'],
  ]
    .filter(([n]) => n !== 0)
    .map(([n, what]) => `, ${n} ${what}`)
    .join('')
  return `${done} of ${tasks}${held}`
}

function row(stage: StageStatus): string[] {
  const { state, unit, unitsDone, unitsTotal, rate, seconds, etaSeconds } = stage
  const share =
    unitsDone === null || unitsTotal === null || state === 'waiting'
      ? ''
      : `${(unitsTotal === 0 ? 100 : (100 * unitsDone) / unitsTotal).toFixed(0)} %`
  const count = (n: number) => (unit === 'bytes' ? bytes(n) : `${number(n)} ${unit}`)
  return [
    `${marks[state]} ${stage.stage}`,
    tasksOf(stage),
    share,
    unitsTotal === null || unit === 'tasks' ? '' : count(unitsTotal),
    rate === null || unit === 'tasks' ? '' : `${count(rate)}/s`,
    seconds === null ? '' : time(seconds),
    etaSeconds === null ? (state === 'running' ? 'time left unknown' : '') : `${time(etaSeconds)} left`,
  ]
}

function stateOf({ state, driver, elapsedSeconds, etaSeconds }: RunStatus): string {
  const who =
    driver === null
      ? state === 'running'
        ? ', tasks run by other processes'
        : ''
      : `, driven by process ${driver.process} on ${driver.host}`
  const left =
    state === 'finished' ? '' : etaSeconds === null ? '; time left unknown' : `; about ${time(etaSeconds)} left`
  const on = ['stopped', 'interrupted', 'failed', 'killed'].includes(state) ? '; the same command resumes it' : ''
  return `${state}${who}; ${time(elapsedSeconds)} of work so far${left}${on}`
}

const message = ({ time: when, code, message: text }: LogMessage) =>
  `${when.replace('T', ' ').slice(0, 19)} UTC  ${text}${code === null ? '' : ` [${code}]`}`

function describe(run: RunStatus): string {
  const { disk } = run
  const free =
    disk.workFreeBytes === null
      ? ''
      : disk.workFreeBytes === disk.outputFreeBytes
        ? `; ${bytes(disk.workFreeBytes)} free`
        : `; ${bytes(disk.workFreeBytes)} and ${bytes(disk.outputFreeBytes ?? 0)} free`
  const lines = [
    `run         ${run.directory}: ${run.method}, ${grouped(run.length)} tokens a sequence`,
    `state       ${stateOf(run)}`,
    '',
    ...columns(run.stages.map(row), 'llrrrrl'),
    '',
    `disk        work ${bytes(disk.workBytes)} in ${run.work}, output ${bytes(disk.outputBytes)}${free}`,
  ]
  if (run.lastError !== null) lines.push(`last error  ${message(run.lastError)}`)
  if (run.lastWarning !== null) lines.push(`warning     ${message(run.lastWarning)}`)
  return fold(lines)
}

export const statusCommand: Command = {
  name: 'status',
  group: 'read',
  summary: 'the state of a run: stages, rates, time left, disk, the last error',
  details: `Works from another terminal while a run is going, and after it finished, failed or was killed, whichever processes work on it. It only reads and takes no lock. The time left is printed once a rate is known.`,
  positionals: [runDirectory],
  flags: {
    watch: { description: 'Prints the state again and again until nobody works on the run.' },
    interval: {
      value: 'SECONDS',
      description: 'With --watch: seconds between two looks, at least 1.',
      default: '2',
    },
    json,
  },
  options: null,
  json: 'RunStatus; with --watch, one a line for each look',
  examples: [
    'longweave status out',
    'longweave status out --watch',
    'longweave status out --json | jq \'.stages[] | select(.state == "running")\'',
  ],
  async run(args) {
    const { values, positionals } = parse(args, this)
    const interval = wholeNumber(values['interval'], '--interval')
    if (interval < 1) throw new UsageError('--interval must be at least 1', this.name)
    const screen = process.stdout.isTTY && values['watch'] === true && values['json'] !== true
    for (;;) {
      const run = await status(positionals[0] ?? '')
      const text = values['json'] === true ? jsonLine(run) : printable(describe(run))
      // On a terminal a look takes the place of the one before.
      process.stdout.write(screen ? `\u001b[H\u001b[2J${text}` : text)
      if (values['watch'] !== true || run.state !== 'running') return
      await new Promise((done) => setTimeout(done, interval * 1000))
    }
  },
}
