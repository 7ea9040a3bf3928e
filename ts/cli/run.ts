// longweave run, longweave plan.
import type { Summary } from '../events.ts'
import { dryRun, plan, prepare, weave } from '../weave.ts'
import type { Weave, WeaveOptions } from '../weave.ts'
import type { Command } from './commands.ts'
import { describeDryRun } from './dry-run.ts'
import { flags as runFlags } from './flags.ts'
import { number, reporter, time } from './progress.ts'
import { jsonLine, printable } from './text.ts'
import { parse } from './usage.ts'
import type { OwnFlag } from './usage.ts'

const flags: Record<string, OwnFlag> = {
  config: { type: 'string', description: 'JSON file with options; flags lie on top of it' },
  preset: { type: 'string', description: 'other defaults: paper keeps to the Quest paper wherever it speaks' },
  json: { type: 'boolean', description: 'one line of JSON for each event, the summary last' },
}

/** The options of a run as flags. */
const runOptions = {
  title: 'Options of a run, each also a key of --config FILE (JSON) and of the API',
  flags: runFlags,
}

const percent = (share: number) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`

function report(summary: Summary): string {
  const lines: string[] = []
  const { corpus, keywords, plan: stats, shares } = summary
  if (corpus !== null) {
    const others = [
      [corpus.empty, 'empty'],
      [corpus.rejected, 'rejected'],
      [corpus.renamed, 'renamed'],
    ]
      .filter(([n]) => n !== 0)
      .map(([n, what]) => `, ${n} ${what}`)
      .join('')
    lines.push(
      `corpus      ${corpus.documents.toLocaleString('en')} documents, ${number(corpus.tokens)} tokens in ${corpus.files} file${corpus.files === 1 ? '' : 's'}${others}`,
    )
  }
  if (summary.predictor?.name === 'onnx')
    lines.push(`predictor   ${summary.predictor.model ?? 'model'} on ${summary.predictor.devices.join(', ')}`)
  if (keywords !== null)
    lines.push(
      `keywords    ${keywords.distinct.toLocaleString('en')} keywords for ${keywords.withKeyword.toLocaleString('en')} documents`,
    )
  const { vectors, neighbours } = summary
  if (vectors !== null)
    lines.push(
      `vectors     ${vectors.vectors.toLocaleString('en')} of ${vectors.dimensions} numbers, ${vectors.source}${vectors.devices.length > 0 ? ` on ${vectors.devices.join(', ')}` : ''}`,
    )
  if (neighbours !== null) {
    const how =
      neighbours.recall === null
        ? 'all pairs compared'
        : `inverted lists, ${percent(neighbours.recall)} of the nearest found in a sample of ${neighbours.sampled}`
    lines.push(`neighbours  ${neighbours.mean.toFixed(1)} of at most ${neighbours.k}; ${how}`)
  }
  if (stats !== null && shares !== null) {
    lines.push(`sequences   ${stats.sequences.toLocaleString('en')} of ${summary.length.toLocaleString('en')} tokens`)
    if (summary.method === 'quest') {
      const { group, related, next } = stats.rules
      const by = (
        [
          [group, 'of one keyword'],
          [related, 'of related ones'],
          [next, 'of rests in random order'],
        ] as const
      ).filter(([n]) => n > 0)
      lines.push(
        `            ${by.map(([n, what]) => `${n.toLocaleString('en')} ${what}`).join(', ')}; ${shares.groupsPerSequence.toFixed(1)} keywords a sequence`,
      )
      lines.push(
        `            short set: ${stats.keywords.short.toLocaleString('en')} keywords${stats.oversample === null ? '' : `, used ${stats.oversample.toFixed(2)} times`}, ${percent(shares.shortSet)} of the tokens`,
      )
    } else {
      const unused = stats.documentsByUses[0] ?? 0
      const more =
        unused > 0
          ? `; ${unused.toLocaleString('en')} of ${stats.poolDocuments.toLocaleString('en')} documents are in none`
          : ''
      lines.push(`            ${shares.documentsPerSequence.toFixed(1)} documents a sequence${more}`)
      if (stats.nearDuplicates > 0)
        lines.push(
          `            ${stats.nearDuplicates.toLocaleString('en')} documents left out, which begin almost like the one before`,
        )
    }
    const { sample } = summary
    if (sample !== null && sample.similarity !== null) {
      const repeats =
        sample.nearDuplicates === null
          ? ''
          : `; ${percent(sample.nearDuplicates)} of the documents nearly repeat another`
      lines.push(
        `alike       ${sample.similarity.toFixed(3)} mean similarity of a sequence's documents${repeats} (${sample.sequences} sequences)`,
      )
    }
    lines.push(
      `dropped     ${percent(shares.dropped)} of the tokens${shares.padding > 0 ? `; padding ${percent(shares.padding)}` : ''}`,
    )
  }
  if (summary.holdout !== null)
    lines.push(`held out    ${summary.holdout.sequences.toLocaleString('en')} sequences in holdout/`)
  if (summary.files > 0)
    lines.push(
      `written     ${summary.files} file${summary.files === 1 ? '' : 's'}, ${number(summary.bytes)}B, in ${summary.directory}`,
    )
  lines.push(`time        ${time(summary.seconds)}`)
  return `${lines.join('\n')}\n`
}

async function tell(options: WeaveOptions, json: boolean): Promise<void> {
  const run = await dryRun(options)
  process.stdout.write(json ? jsonLine(run) : printable(describeDryRun(run)))
}

async function drive(run: Weave, json: boolean, say: (summary: Summary) => string): Promise<number> {
  const to = reporter(json)
  let interrupted = false
  const stop = () => {
    // The second Ctrl-C ends the process at once: what is finished is kept all the same.
    if (interrupted) process.exit(130)
    interrupted = true
    run.cancel()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    for await (const event of run) to.event(event)
    const summary = await run.finished
    to.end()
    process.stdout.write(json ? jsonLine({ type: 'summary', ...summary }) : printable(say(summary)))
    return 0
  } catch (error) {
    to.end()
    if (!interrupted) throw error
    process.stderr.write('longweave: interrupted; what is finished is kept. Run the same command again to go on.\n')
    return 130
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

export const runCommand: Command = {
  name: 'run',
  summary: 'weave sequences from a corpus; again: resume',
  usage: 'longweave run --corpus PATH… --tokenizer FILE --length N --out DIR [options]',
  details: `Reads .jsonl, .ndjson, .json (plain, .gz, .zst), .parquet, .txt and .md files, directories and globs (quote them). Results of stages are kept
in --work (default OUT/.work), so that another length, method or seed reuses tokens, queries, keywords, vectors and neighbours.`,
  flags: {
    ...flags,
    prepare: { type: 'boolean', description: 'only write OUT/run.json, for longweave tasks and longweave stage' },
    'dry-run': {
      type: 'boolean',
      description: 'say what the run would do, how much it would write and how long it would take; write nothing',
    },
  },
  options: runOptions,
  examples: [
    "longweave run --corpus 'data/*.jsonl.zst' --tokenizer tokenizer.json --length 131072 --out out",
    'longweave run --corpus data --tokenizer tokenizer.json --method standard --length 8192 --out out-standard --work work',
    'longweave run --config run.json --seed 1 --out out-1',
    'longweave run --config run.json --out out --dry-run',
    'longweave run --corpus docs.parquet --text-field body --id-field url --tokenizer tokenizer.json --length 32768 --format mds --out out',
  ],
  async run(args) {
    const { values, options } = parse(args, this.flags, { list: runFlags() })
    const all = {
      ...options,
      ...(values['preset'] !== undefined && { preset: values['preset'] }),
    } as unknown as WeaveOptions
    if (values['dry-run'] === true) return tell(fillIn(all), values['json'] === true)
    if (values['prepare'] === true) {
      return drive(
        prepare(fillIn(all)),
        values['json'] === true,
        (summary) =>
          `prepared    ${summary.directory}: \`longweave tasks --run ${summary.directory}\` lists what is to do\n`,
      )
    }
    return drive(weave(fillIn(all)), values['json'] === true, report)
  },
}

/** The corpus must be named on the command line; the schema would take null for documents that are pushed. */
function fillIn(options: WeaveOptions): WeaveOptions {
  return { ...options, corpus: options.corpus ?? [] }
}

export const planCommand: Command = {
  name: 'plan',
  summary: 'plan only: what would come out, no token copied',
  usage: 'longweave plan --corpus PATH… --tokenizer FILE --length N --out DIR [options]',
  details:
    'Runs all stages up to the plan and says what a run with these options would come to. longweave run with the same options goes on from there.',
  flags,
  options: runOptions,
  examples: ["longweave plan --corpus 'data/*.jsonl' --tokenizer tokenizer.json --length 32768 --fill drop --out try"],
  async run(args) {
    const { values, options } = parse(args, this.flags, { list: runFlags() })
    const all = {
      ...options,
      ...(values['preset'] !== undefined && { preset: values['preset'] }),
    } as unknown as WeaveOptions
    return drive(plan(fillIn(all)), values['json'] === true, report)
  },
}
