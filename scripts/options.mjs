// docs/options.md, docs/cli.md and docs/errors.md from the schema, the commands and the error codes, and the schema for packages/python.
// `--check` fails when a file is not what they say.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { groups, usage } from '../ts/cli/command.ts'
import { allCommands } from '../ts/cli/commands.ts'
import { defaultOf, flags } from '../ts/cli/flags.ts'
import { wrap } from '../ts/cli/layout.ts'
import { errorCodes } from '../ts/errors.ts'
import { corpusPresets, described, presets, sections, skipped } from '../ts/schema.ts'
import { fail, root } from './setup.mjs'

const COLUMNS = 100
const cell = (text) => String(text).replaceAll('|', '\\|')
const code = (text) => `\`${cell(text)}\``
const paragraph = (text) => wrap(text, 0, COLUMNS)
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
const anchor = (title) =>
  title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-')

function defaultCell(flag) {
  if (flag.default === undefined) return 'required'
  const value = defaultOf(flag)
  if (value === null) return '–'
  return flag.kind === 'switch' ? code(flag.default) : code(value)
}

function option(flag) {
  const { name, kind, path, choices, description, when } = flag
  const list = choices.length > 1 ? ` (${choices.map(code).join(', ')})` : ''
  const flagCell = kind === 'switch' ? `${code(`--${name}`)}, ${code(`--no-${name}`)}` : code(`--${name}`)
  return [code(path.join('.')), flagCell, defaultCell(flag), `${cell(description)}${list}`, cell(when)]
}

function optionsPage() {
  const list = flags()
  const parts = Object.entries(sections).map(([section, title]) => {
    const rows = list.filter((flag) => flag.section === section).map(option)
    return `## ${title}\n\n${table(['option', 'flag', 'default', 'description', 'when to change it'], rows)}\n`
  })
  return `# Options

${paragraph(
  'Every option of a run, generated from the schema by `npx tsx scripts/options.mjs`. `option` is its path in the API and in the file of `--config`, `flag` its name on the command line. A dash is `null`: the description says which value follows from it. Where the default depends on the method, that of `quest` comes first. A size is a number of bytes or text like `512MiB`.',
)}

${paragraph(
  "`--preset paper` (`preset: 'paper'` in the API) changes defaults to those of the Quest paper. `optionsJsonSchema()` returns the schema for editors.",
)}

${parts.join('\n')}`
}

const ownFlags = (command) =>
  table(
    ['flag', 'default', 'description'],
    Object.entries(command.flags).map(([name, { value, default: fallback, description, when = '' }]) => [
      code(`--${name}${value === undefined ? '' : ` ${value}`}`),
      fallback === undefined ? '–' : code(fallback),
      cell(`${description} ${when}`.trim()),
    ]),
  )

/** Flags of a schema that has no page of its own. */
const schemaFlags = (list) =>
  table(
    ['flag', 'default', 'description'],
    list.map((flag) => {
      const [, name, fallback, description, when] = option(flag)
      return [name, fallback, `${description} ${when}`]
    }),
  )

function commandPart(command) {
  const { name, summary, details, positionals, options, json, examples } = command
  const parts = [
    `### ${name}`,
    paragraph(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`),
    `\`\`\`sh\n${usage(command)}\n\`\`\``,
    ...details.split('\n\n').map(paragraph),
  ]
  if (positionals.length > 0)
    parts.push(positionals.map((place) => paragraph(`- ${code(place.name)}: ${place.description}`)).join('\n'))
  if (Object.keys(command.flags).length > 0) parts.push(ownFlags(command))
  if (options?.byTopic === true) {
    const links = Object.values(sections).map((title) => `[${title}](options.md#${anchor(title)})`)
    parts.push(`Options, by topic:\n\n${links.map((link) => `- ${link}`).join('\n')}`)
  } else if (options !== null) parts.push(schemaFlags(options.flags()))
  if (json !== null) parts.push(paragraph(`**JSON**: ${json}.`))
  parts.push(`\`\`\`sh\n${examples.join('\n')}\n\`\`\``)
  return parts.join('\n\n')
}

function commandsPage(list) {
  const parts = Object.entries(groups).map(([group, title]) => {
    const members = list.filter((command) => command.group === group)
    return `## ${title}\n\n${members.map(commandPart).join('\n\n')}`
  })
  return `# Command line

${paragraph(
  'Every command, generated from the code by `npx tsx scripts/options.mjs`. `longweave help COMMAND` prints the same in a terminal, `longweave help run TOPIC` the options of one topic. RUN is the output directory of a run, its `--out`.',
)}

${table(
  ['exit status', 'meaning'],
  [
    ['0', 'done'],
    ['1', 'failed: the last line of stderr holds the message and its code, like `[BAD_ROW]`'],
    ['2', 'wrong usage: nothing was done'],
    ['130', 'interrupted by Ctrl-C or SIGTERM: the same command resumes'],
  ],
)}

${paragraph(
  'Results go to stdout; progress, warnings and errors go to stderr. On a terminal, progress is a bar that shows the stage, speed, time left and memory; elsewhere it is a line every 30 seconds. `--json` prints one JSON value a line, whose type is named at each command: TypeScript exports these types. `--config FILE` is JSON in which comments and trailing commas are allowed.',
)}

${table(
  ['command', 'purpose'],
  list.map(({ name, summary }) => [`[${code(name)}](#${anchor(name)})`, cell(summary)]),
)}

${parts.join('\n\n')}
`
}

function errorsPage() {
  return `# Errors

${paragraph(
  'Every error code, generated from the code by `npx tsx scripts/options.mjs`. Messages say what happened, where (file and line, option, document id) and what to do. The API throws a `LongweaveError` with the code in `code` and its data in `details`. The command line prints the code at the end of the message, like `[BAD_ROW]`.',
)}

${table(
  ['code', 'cause'],
  Object.entries(errorCodes).map(([name, cause]) => [code(name), cell(cause)]),
)}
`
}

/** The schema for readers without Node: bounds, defaults and forms, not the words for people. */
function schema() {
  const bare = (node) => {
    const kept = Object.entries(node).filter(([key]) => key !== 'description' && key !== 'option')
    return Object.fromEntries(
      kept.map(([key, value]) => {
        if (key === 'properties')
          return [key, Object.fromEntries(Object.entries(value).map(([name, below]) => [name, bare(below)]))]
        if (key === 'items') return [key, bare(value)]
        return key === 'anyOf' || key === 'oneOf' ? ['anyOf', value.map(bare)] : [key, value]
      }),
    )
  }
  return JSON.stringify({ schema: bare(described()), presets, corpusPresets, skipped }, null, 1) + '\n'
}

const files = {
  'docs/options.md': optionsPage(),
  'docs/cli.md': commandsPage(await allCommands()),
  'docs/errors.md': errorsPage(),
  'packages/python/longweave/options.json': schema(),
}
for (const [name, text] of Object.entries(files)) {
  const path = join(root, name)
  if (!process.argv.includes('--check')) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text)
    fail(`${name} differs from the code: run \`npx tsx scripts/options.mjs\`.`)
}
