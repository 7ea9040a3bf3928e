// Runs what the documentation shows, each page in a fresh folder with the demo's corpus and a query model: every ```ts block of README.md, and each
// ```ts and ```sh block of any page after the comment <!-- runs: demo -->. Programs are checked by the compiler too; of a ```sh block the lines that
// call longweave run, and a block after <!-- output --> is the output of the last command. A block that fails is an error, and so is a README
// without program or command.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { blocks, check, commands, compile, demo, environment, folderFor } from './programs.mjs'
import { fail, root } from './setup.mjs'

const MARK = 'runs: demo'
const OUTPUT = 'output'

/** Output with times left out; a line `…` stands for any lines. */
const timeless = (text) => text.trim().replaceAll(/<?\d[\d.]* (?:ms|s|min)\b/g, 'T')

/** Whether output is what a block shows. */
function shows(lines, output) {
  const literal = (text) => timeless(text).replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const pattern = lines
    .join('\n')
    .split(/^…$/m)
    .map(literal)
    .join(String.raw`[\s\S]*`)
  return new RegExp(`^${pattern}$`).test(timeless(output))
}

const pagesBelow = (folder) =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? pagesBelow(path) : path.endsWith('.md') ? [path] : []
  })

const pages = ['README.md', ...pagesBelow('docs')]
const found = pages.flatMap((page) =>
  blocks(readFileSync(join(root, page), 'utf8'))
    .filter(
      ({ language, comment }) =>
        (comment === MARK && (language === 'ts' || language === 'sh')) ||
        comment === OUTPUT ||
        (page === 'README.md' && language === 'ts'),
    )
    .map((block) => ({ ...block, page })),
)
const programs = found
  .filter(({ language }) => language === 'ts')
  .map((block, i) => Object.assign(block, { name: `program-${i + 1}` }))
const ofReadme = found.filter(({ page }) => page === 'README.md')
if (!ofReadme.some(({ language }) => language === 'ts')) fail('README.md holds no ```ts program.')
if (ofReadme.filter(({ language }) => language === 'sh').flatMap(({ lines }) => commands(lines)).length === 0)
  fail(`README.md holds no longweave command in a \`\`\`sh block after <!-- ${MARK} -->.`)

const { corpus, tokenizer } = await demo()
const folder = folderFor('readme', {})
const env = environment()
console.log(
  `\n▸ ${programs.length} programs and ${found.length - programs.length} blocks of commands and outputs in ${pages.length} pages`,
)
const compiled = compile(folder, programs)
let last = ''
for (const page of new Set(found.map((block) => block.page))) {
  const name = join('readme', page.replaceAll(/\W+/g, '-'))
  const options = {
    cwd: folderFor(name, {
      'out/demo/brown.jsonl': corpus,
      'out/demo/tokenizer.json': tokenizer,
      doc2query: join(root, '__test__/fixtures/models/t5-v1_0/longweave'),
    }),
    env,
  }
  for (const block of found.filter((one) => one.page === page)) {
    const where = `${page}:${block.line}`
    if (block.language === 'ts')
      last = check(where, 'program', process.execPath, [compiled[programs.indexOf(block)]], options)
    else if (block.comment !== OUTPUT)
      for (const command of commands(block.lines)) last = check(where, command, 'sh', ['-c', command], options)
    else if (!shows(block.lines, last)) fail(`${where}: the output is\n${last}`)
  }
}
