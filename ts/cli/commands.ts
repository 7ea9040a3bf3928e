// The commands, in the order in which help lists them.
import { cleanCommand } from './clean.ts'
import { keywordsCommand } from './keywords.ts'
import { planCommand, runCommand } from './run.ts'
import { reportCommand } from './report.ts'
import { showCommand, verifyCommand } from './inspect.ts'
import { statusCommand } from './status.ts'
import { stageCommand, tasksCommand } from './tasks.ts'
import { trainCommand } from './train.ts'
import { embedCommand, predictCommand } from './models.ts'
import type { Flag } from './flags.ts'
import type { OwnFlag } from './usage.ts'

/** A command. */
export interface Command {
  name: string
  summary: string
  usage: string
  details: string
  flags: Record<string, OwnFlag>
  /** Flags that come from a schema, and what they are called; null where there are none. */
  options: { title: string; flags: () => Flag[] } | null
  examples: string[]
  /** Runs it; the exit status, 0 where none is given. */
  run(args: string[]): Promise<number | void>
}

/** All commands by name. */
export const commands: Record<string, Command> = Object.fromEntries(
  [
    runCommand,
    planCommand,
    showCommand,
    verifyCommand,
    reportCommand,
    keywordsCommand,
    predictCommand,
    embedCommand,
    statusCommand,
    tasksCommand,
    stageCommand,
    cleanCommand,
    trainCommand,
  ].map((command) => [command.name, command]),
)
