// Runs what README.md shows, in a fresh folder with the demo's corpus: every ```ts block as a program, checked by the compiler too, and of
// each ```sh block after a comment <!-- runs: demo --> the lines that call longweave. A block that fails, or none at all, is an error.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join, relative } from 'node:path'
import { brown } from './brown.mjs'
import { fail, root } from './setup.mjs'
import { trainTokenizer } from './tokenizer.mjs'

const MARK = 'runs: demo'
const main = join(root, 'dist', 'cli', 'main.js')
const bin = (name) => join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name)

/** Fenced blocks with their language, first line, and the comment just before. */
function blocks(markdown) {
  const found = []
  let open, comment
  for (const [i, line] of markdown.split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line)
    if (open === undefined && fence) open = { language: fence[1], line: i + 1, comment, lines: [] }
    else if (open !== undefined && line.startsWith('```')) {
      found.push(open)
      open = undefined
    } else if (open !== undefined) open.lines.push(line)
    if (line.trim() !== '') comment = /^<!--\s*(.*?)\s*-->$/.exec(line.trim())?.[1]
  }
  return found
}

/** Commands of a block: lines that begin with longweave, continued where they end with a backslash. */
function commands(lines) {
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.startsWith('longweave '))
}

/** The demo's corpus and tokenizer, made where they are missing. */
async function demo() {
  const corpus = join(root, 'out', 'demo', 'brown.jsonl')
  const tokenizer = join(root, 'out', 'demo', 'tokenizer.json')
  brown(corpus)
  if (!existsSync(tokenizer)) await trainTokenizer({ corpus, out: tokenizer })
  return [corpus, tokenizer]
}

function check(where, what, program, args, options) {
  const start = Date.now()
  const { status, signal, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', ...options })
  if (error || status !== 0)
    fail(`README.md, ${where}: ${what} ended with ${error?.message ?? signal ?? status}\n${stdout}${stderr}`)
  console.log(`  ${where}: ${what}, ${((Date.now() - start) / 1000).toFixed(1)} s`)
}

const readme = join(root, 'README.md')
if (!existsSync(readme)) fail('There is no README.md.')
const all = blocks(readFileSync(readme, 'utf8'))
const programs = all.filter(({ language }) => language === 'ts')
const shells = all.filter(({ language, comment }) => language === 'sh' && comment === MARK)
if (programs.length === 0) fail('README.md holds no ```ts program.')
if (shells.flatMap(({ lines }) => commands(lines)).length === 0)
  fail(`README.md holds no longweave command in a \`\`\`sh block after <!-- ${MARK} -->.`)

// Inside the package, so that the programs find it by its own name.
const folder = join(root, 'out', 'readme')
rmSync(folder, { recursive: true, force: true })
mkdirSync(join(folder, 'out', 'demo'), { recursive: true })
mkdirSync(join(folder, 'bin'))
for (const path of await demo()) copyFileSync(path, join(folder, relative(root, path)))
writeFileSync(join(folder, 'bin', 'longweave'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`)
chmodSync(join(folder, 'bin', 'longweave'), 0o755)
const env = { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}` }

console.log(`\n▸ ${programs.length} programs and ${shells.length} blocks of commands in README.md`)
const files = programs.map(({ lines }, i) => {
  const file = join(folder, `program-${i + 1}.ts`)
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
})
const settings = { extends: '../../tsconfig.json', compilerOptions: { noEmit: true, rootDir: '.' }, include: ['*.ts'] }
writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings))
check('all programs', 'types', bin('tsc'), ['-p', folder], { cwd: folder })
for (const block of all.filter((one) => programs.includes(one) || shells.includes(one))) {
  const where = `line ${block.line}`
  if (block.language === 'ts')
    check(where, 'program', bin('tsx'), [files[programs.indexOf(block)]], { cwd: folder, env })
  else for (const command of commands(block.lines)) check(where, command, 'sh', ['-c', command], { cwd: folder, env })
}
