// The commands, in the order in which help lists them.
import { cleanCommand } from './clean.ts'
import type { Command } from './command.ts'
import { completionsCommand } from './completions.ts'
import { showCommand, verifyCommand } from './inspect.ts'
import { keywordsCommand } from './keywords.ts'
import { embedCommand, predictCommand } from './models.ts'
import { reportCommand } from './report.ts'
import { planCommand, prepareCommand, runCommand } from './run.ts'
import { statusCommand } from './status.ts'
import { taskListCommand, taskRunCommand } from './task.ts'

/** All commands by name. */
export const commands: Record<string, Command> = Object.fromEntries(
  [
    runCommand,
    planCommand,
    showCommand,
    verifyCommand,
    reportCommand,
    keywordsCommand,
    statusCommand,
    predictCommand,
    embedCommand,
    prepareCommand,
    taskListCommand,
    taskRunCommand,
    cleanCommand,
    completionsCommand(() => Object.values(commands)),
  ].map((command) => [command.name, command]),
)
