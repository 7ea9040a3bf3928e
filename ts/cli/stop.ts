// longweave stop.
import { stopRun } from '../stop.ts'
import { json, runDirectory } from './command.ts'
import type { Command } from './command.ts'
import { interruptible } from './interrupt.ts'
import { parse, wholeNumber } from './parse.ts'
import { jsonLine, printable } from './text.ts'

export const stopCommand: Command = {
  name: 'stop',
  group: 'care',
  summary: 'stops a run that another process or machine drives',
  details: `Asks the driver of the run to stop, with a file in the output directory that it sees within seconds, and waits until it has ended. Works for a run in another terminal, on another machine that sees the directory, and on a Ray cluster. Finished tasks are kept, and the run's command resumes it. Tasks that a scheduler started with \`task run\` have no driver: stop them there.`,
  positionals: [runDirectory],
  flags: {
    wait: {
      value: 'SECONDS',
      description: 'Most seconds to wait until the driver has ended.',
      default: '60',
    },
    json,
  },
  options: null,
  json: 'StoppedDriver, or null where no process drives the run',
  examples: ['longweave stop out', 'longweave stop /shared/out --wait 300'],
  async run(args) {
    const { values, positionals } = parse(args, this)
    const directory = positionals[0] ?? ''
    const waitSeconds = wholeNumber(values['wait'], '--wait')
    return interruptible('the driver was asked to stop nevertheless', async (signal) => {
      const driver = await stopRun(directory, { waitSeconds, signal })
      const said =
        driver === null
          ? 'no process drives the run'
          : `process ${driver.process} on ${driver.host} has ended; the run's command resumes it`
      process.stdout.write(values['json'] === true ? jsonLine(driver) : printable(`${said}\n`))
    })
  },
}
