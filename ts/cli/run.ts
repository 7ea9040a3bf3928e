// longweave run, longweave plan, longweave prepare.
import type { Summary } from '../events.ts'
import { dryRun } from '../plan.ts'
import type { ObservedOptions } from '../plan.ts'
import { prepare } from '../prepare.ts'
import { presets } from '../schema.ts'
import { planEach, runsByLength, weaveLengths } from '../lengths.ts'
import type { LengthsOptions } from '../lengths.ts'
import { submit, weave } from '../run.ts'
import type { RunOptions } from '../run.ts'
import { json, quietFlags } from './command.ts'
import type { Command, OwnFlag } from './command.ts'
import { describeDryRun } from './dry-run.ts'
import { flags as runFlags } from './flags.ts'
import { interruptible } from './interrupt.ts'
import { UsageError, parse } from './parse.ts'
import type { Parsed } from './parse.ts'
import { reporter } from './progress.ts'
import { describeSummary } from './summary.ts'
import { jsonLine, printable } from './text.ts'

const common: Record<string, OwnFlag> = {
  config: {
    value: 'FILE',
    description: 'JSON file of options; comments and trailing commas are allowed. Flags override it.',
    when: 'Use it to keep the options of a run under version control.',
  },
  preset: {
    value: 'NAME',
    choices: Object.keys(presets),
    description: 'Other defaults: `paper` follows the Quest paper.',
    when: 'Use it to reproduce the paper.',
  },
  json,
  ...quietFlags,
}
const dry: OwnFlag = {
  description: 'Prints what the run would do, write and take, and writes nothing.',
  when: 'Use it before a large run.',
}
const detach: OwnFlag = {
  description: 'With --engine: submits the run and leaves it to the cluster.',
  when: 'Use it for long runs; `longweave status` shows them, and the same command without it follows them.',
}
const options = { byTopic: true, flags: runFlags }
const resumes = 'what is finished is kept. Run the same command again to resume.'

/** The options of a call; the schema would take a missing corpus for documents that a program hands over. */
function optionsOf({ values, options: given }: Parsed): RunOptions {
  const preset = values['preset']
  const all = { ...given, ...(preset !== undefined && { preset }) } as unknown as RunOptions
  if (all.output?.format === 'memory')
    throw new UsageError('--format memory hands sequences to a program: it is for the API, not for the command line')
  return { ...all, corpus: all.corpus ?? [] }
}

/** Whether the options ask for several lengths, each a run of its own. */
const ofLengths = (given: RunOptions): given is RunOptions & LengthsOptions =>
  (given.lengths ?? []).length > 0 && (given as Partial<RunOptions>).length === undefined

/** The runs that the options ask for. */
const runsOf = (given: RunOptions): RunOptions[] => (ofLengths(given) ? runsByLength(given) : [given])

/** A result for people and for programs: of several lengths, one each. */
interface Said {
  text: string
  json: object[]
}

const summarised = (summaries: Summary[]): Said => ({
  text: summaries
    .map((summary) => (summaries.length > 1 ? `length      ${summary.length}\n` : '') + describeSummary(summary))
    .join('\n'),
  json: summaries.map((summary) => ({ type: 'summary', ...summary })),
})

/** Runs `start` with progress, then prints its result. */
function drive(start: (call: ObservedOptions) => Promise<Said>, values: Parsed['values']) {
  const [asJson, quiet] = [values['json'] === true, values['quiet'] === true]
  const to = reporter({ json: asJson, quiet, progress: values['no-progress'] !== true })
  return interruptible(resumes, async (signal) => {
    try {
      const { text, json: value } = await start({ signal, onEvent: (event) => to.event(event) })
      to.end()
      if (asJson) for (const one of value) process.stdout.write(jsonLine(one))
      else if (!quiet) process.stdout.write(printable(text))
    } finally {
      to.end()
    }
  })
}

/** Submits a run to its engine and says where it is. */
async function detached(given: RunOptions, values: Parsed['values']): Promise<void> {
  const { engine } = given
  if (engine === undefined) throw new UsageError('--detach needs --engine', 'run')
  const quiet = values['quiet'] === true
  const onWarning = (message: string) => void (quiet || process.stderr.write(printable(`longweave: ${message}\n`)))
  const sent = await submit({ ...given, engine }, { onWarning })
  const { job, url, directory } = sent
  if (values['json'] === true) process.stdout.write(jsonLine(sent))
  else if (!quiet)
    process.stdout.write(
      printable(
        `submitted   job ${job} to ${url}\nstate       longweave status ${directory}\nstop        ray job stop ${job}\n`,
      ),
    )
}

export const runCommand: Command = {
  name: 'run',
  group: 'make',
  summary: 'make sequences from a corpus; again: resume',
  details: `Reads .jsonl, .ndjson, .json, .parquet, .arrow, .txt and .md files, plain, .gz or .zst. Results of stages are kept in the work directory, so that another length, method or seed reuses tokens, queries, keywords and vectors.`,
  positionals: [],
  flags: { 'dry-run': dry, detach, ...common },
  options,
  json: "RunEvent, one a line, then Summary with `type: 'summary'`; with --dry-run, DryRun; with --detach, SubmittedJob",
  examples: [
    "longweave run --corpus 'data/*.jsonl.zst' --tokenizer tokenizer.json --length 131072 --out out",
    'longweave run --corpus data --tokenizer tokenizer.json --length 8192 --method standard --work work --out out-standard',
    'longweave run --config run.json --seed 1 --out out-1',
    'longweave run --config run.json --out out --dry-run',
    'longweave run --config run.json --out /shared/out --engine ray --ray http://127.0.0.1:8265',
    'longweave run --corpus docs.parquet --text-field body --id-field url --tokenizer tokenizer.json --length 32768 --format mds --out out',
  ],
  async run(args) {
    const parsed = parse(args, this)
    const { values } = parsed
    const given = optionsOf(parsed)
    if (values['detach'] === true) {
      for (const one of runsOf(given)) await detached(one, values)
      return
    }
    if (values['dry-run'] !== true)
      return drive(async (call) => {
        if (ofLengths(given)) return summarised((await weaveLengths(given, call)).map(({ summary }) => summary))
        const run = weave(given, { signal: call.signal })
        for await (const event of run) call.onEvent?.(event)
        return summarised([await run.finished])
      }, values)
    return interruptible('nothing was written.', async (signal) => {
      for (const one of runsOf(given)) {
        const would = await dryRun(one, { signal })
        process.stdout.write(values['json'] === true ? jsonLine(would) : printable(describeDryRun(would)))
      }
    })
  },
}

export const planCommand: Command = {
  name: 'plan',
  group: 'make',
  summary: 'plan only: how many sequences, of which documents; no token is copied',
  details:
    'Runs all stages up to the plan and prints what a run with these options would come to. `longweave run` with the same options continues from there.',
  positionals: [],
  flags: common,
  options,
  json: "RunEvent, one a line, then Summary with `type: 'summary'`",
  examples: ["longweave plan --corpus 'data/*.jsonl' --tokenizer tokenizer.json --length 32768 --fill drop --out try"],
  async run(args) {
    const parsed = parse(args, this)
    return drive(async (call) => summarised(await planEach(runsOf(optionsOf(parsed)), call)), parsed.values)
  },
}

export const prepareCommand: Command = {
  name: 'prepare',
  group: 'tasks',
  summary: 'write OUT/run.json only, for `task list` and `task run`',
  details: 'Checks the options and lists the corpus. Then any number of processes can run tasks of the run.',
  positionals: [],
  flags: common,
  options,
  json: "RunEvent, one a line, then `{ type: 'prepared', directory }`",
  examples: ['longweave prepare --config run.json --out out', 'longweave task list out'],
  async run(args) {
    const parsed = parse(args, this)
    return drive(async (call) => {
      const directories: string[] = []
      for (const one of runsOf(optionsOf(parsed))) {
        const { directory } = await prepare(one, call)
        directories.push(directory)
      }
      const text = directories.map(
        (directory) => `prepared    ${directory}: \`longweave task list ${directory}\` lists its tasks\n`,
      )
      return { text: text.join(''), json: directories.map((directory) => ({ type: 'prepared', directory })) }
    }, parsed.values)
  },
}
