// longweave status.
import { status } from '../status.ts'
import type { RunStatus, Said, StageStatus } from '../status.ts'
import type { Command } from './commands.ts'
import { bytes, number, time } from './progress.ts'
import { jsonLine, printable } from './text.ts'
import { UsageError, parse, required, wholeNumber } from './usage.ts'

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

function row(stage: StageStatus): string {
  const { state, unit, unitsDone, unitsTotal, rate, seconds, etaSeconds } = stage
  const share =
    unitsDone === null || unitsTotal === null || state === 'waiting'
      ? ''
      : `${(unitsTotal === 0 ? 100 : (100 * unitsDone) / unitsTotal).toFixed(0)} %`
  const units = unitsTotal === null || unit === 'tasks' ? '' : `${number(unitsTotal)} ${unit}`
  const speed = rate === null || unit === 'tasks' ? '' : `${number(rate)} ${unit}/s`
  const took = seconds === null ? '' : time(seconds)
  const left = etaSeconds === null ? (state === 'running' ? 'time left unknown' : '') : `${time(etaSeconds)} left`
  return `${marks[state]} ${stage.stage.padEnd(12)}${tasksOf(stage).padEnd(22)}${share.padStart(6)}${units.padStart(18)}${speed.padStart(20)}${took.padStart(14)}  ${left}`.trimEnd()
}

function stateOf({ state, driver, elapsedSeconds, etaSeconds }: RunStatus): string {
  const who =
    driver === null
      ? state === 'running'
        ? ', tasks handed out one by one'
        : ''
      : `, driven by process ${driver.process} on ${driver.host}`
  const left =
    state === 'finished' ? '' : etaSeconds === null ? '; time left unknown' : `; about ${time(etaSeconds)} left`
  const on = ['stopped', 'interrupted', 'failed', 'killed'].includes(state) ? '; the same command goes on' : ''
  return `${state}${who}; ${time(elapsedSeconds)} of work so far${left}${on}`
}

const told = ({ time: when, code, message }: Said) =>
  `${when.replace('T', ' ').slice(0, 19)} UTC  ${message}${code === null ? '' : ` [${code}]`}`

function describe(run: RunStatus): string {
  const { disk } = run
  const free =
    disk.workFreeBytes === null
      ? ''
      : disk.workFreeBytes === disk.outputFreeBytes
        ? `; ${bytes(disk.workFreeBytes)} free`
        : `; ${bytes(disk.workFreeBytes)} and ${bytes(disk.outputFreeBytes ?? 0)} free`
  const lines = [
    `run         ${run.directory}: ${run.method}, ${run.length.toLocaleString('en')} tokens a sequence`,
    `state       ${stateOf(run)}`,
    '',
    ...run.stages.map(row),
    '',
    `disk        work ${bytes(disk.workBytes)} in ${run.work}, output ${bytes(disk.outputBytes)}${free}`,
  ]
  if (run.lastError !== null) lines.push(`last error  ${told(run.lastError)}`)
  if (run.lastWarning !== null) lines.push(`last warning ${told(run.lastWarning)}`)
  return `${lines.join('\n')}\n`
}

export const statusCommand: Command = {
  name: 'status',
  summary: 'how a run is going: stages, rates, time left, disk, the last error',
  usage: 'longweave status RUN [--watch] [--json]',
  details: `From another terminal, while a run goes on, after it was killed, failed or finished, whoever works on it: run, the API, or stage in many
processes. It only reads and takes no lock. Time left is told where it follows from a rate, else said to be unknown.`,
  flags: {
    watch: { type: 'boolean', description: 'again and again until nobody works on the run' },
    every: { type: 'string', description: 'with --watch: seconds between two looks', default: '2' },
    json: { type: 'boolean', description: 'as JSON, one line for each look' },
  },
  options: null,
  examples: [
    'longweave status out',
    'longweave status out --watch',
    'longweave status out --json | jq \'.stages[] | select(.state == "running")\'',
  ],
  async run(args) {
    const { values, positionals } = parse(args, this.flags, { most: 1 })
    const directory = required(positionals, 0, 'the output directory')
    const every = wholeNumber(values['every'], '--every')
    if (every < 1) throw new UsageError('--every must be at least 1')
    const screen = process.stdout.isTTY && values['watch'] === true && values['json'] !== true
    for (;;) {
      const run = await status(directory)
      const text = values['json'] === true ? jsonLine(run) : printable(describe(run))
      // On a terminal a look takes the place of the one before.
      process.stdout.write(screen ? `\u001b[H\u001b[2J${text}` : text)
      if (values['watch'] !== true || run.state !== 'running') return
      await new Promise((done) => setTimeout(done, every * 1000))
    }
  },
}
