// docs/options.md from the schema: every option with its flag, choices, default and meaning. `--check` fails when the page is not the schema's.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { flags } from '../dist/cli/flags.js'
import { fail, root } from './setup.mjs'

const page = join(root, 'docs', 'options.md')
const cell = (text) => String(text).replaceAll('|', '\\|')
const code = (text) => `\`${cell(text)}\``

function value(flag) {
  if (flag.default === undefined) return ''
  if (flag.default === null || (Array.isArray(flag.default) && flag.default.length === 0)) return '–'
  return code(flag.default)
}

const rows = flags().map((flag) => {
  const choices = flag.choices.length > 1 ? ` (${flag.choices.map(code).join(', ')})` : ''
  return `| ${code(flag.path.join('.'))} | ${code(`--${flag.name}`)} | ${value(flag)} | ${cell(flag.description)}${choices} |`
})
const text = `# Options

Every option of a run, made from the schema by \`node scripts/options.mjs\`: the path is that of the API and of the JSON file for \`--config\`, the flag that of the
command line. A dash is "none"; an empty default is an option that must be given, or one whose default depends on the method. Sizes are numbers of bytes, or text like \`512MiB\`.

| option | flag | default | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}

\`--preset paper\` (\`preset: 'paper'\` in the API) changes defaults to what the Quest paper says, wherever it speaks. \`optionsJsonSchema()\` gives the schema to editors.
`

if (!process.argv.includes('--check')) writeFileSync(page, text)
else if (readFileSync(page, 'utf8') !== text)
  fail('docs/options.md is not what the schema says: run `node scripts/options.mjs`.')
