// The commands, in the order in which help lists them. Each has its own module, which is loaded when it is needed.
import type { Command } from './command.ts'

const modules: Record<string, () => Promise<Command>> = {
  run: async () => (await import('./run.ts')).runCommand,
  plan: async () => (await import('./run.ts')).planCommand,
  show: async () => (await import('./inspect.ts')).showCommand,
  verify: async () => (await import('./inspect.ts')).verifyCommand,
  report: async () => (await import('./report.ts')).reportCommand,
  keywords: async () => (await import('./keywords.ts')).keywordsCommand,
  status: async () => (await import('./status.ts')).statusCommand,
  predict: async () => (await import('./models.ts')).predictCommand,
  embed: async () => (await import('./models.ts')).embedCommand,
  prepare: async () => (await import('./run.ts')).prepareCommand,
  'task list': async () => (await import('./task.ts')).taskListCommand,
  'task run': async () => (await import('./task.ts')).taskRunCommand,
  'script slurm': async () => (await import('./slurm.ts')).scriptSlurmCommand,
  stop: async () => (await import('./stop.ts')).stopCommand,
  clean: async () => (await import('./clean.ts')).cleanCommand,
  completions: async () => (await import('./completions.ts')).completionsCommand(allCommands),
}

/** Names of all commands. */
export const commandNames = Object.keys(modules)

/** The command of that name, if there is one. */
export async function command(name: string): Promise<Command | undefined> {
  return Object.hasOwn(modules, name) ? await modules[name]?.() : undefined
}

/** All commands. */
export async function allCommands(): Promise<Command[]> {
  return await Promise.all(Object.values(modules).map((load) => load()))
}
