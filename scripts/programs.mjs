// Programs and commands of the documentation: found in Markdown, compiled together, run one by one in a folder of their own.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { brown } from './brown.mjs'
import { fail, root } from './setup.mjs'
import { trainTokenizer } from './tokenizer.mjs'

const main = join(root, 'dist', 'cli', 'main.js')
const tsc = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'tsc.cmd' : 'tsc')

/** Fenced blocks of a Markdown text: language, first line, lines, and the comment just before. */
export function blocks(markdown) {
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

/** Commands of a block: lines that begin with longweave, or with printf, which makes their files; continued where they end with a backslash. */
export function commands(lines) {
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => /^(longweave|printf) /.test(line))
}

/** The demo's corpus and tokenizer, made where they are missing. */
export async function demo() {
  const corpus = join(root, 'out', 'demo', 'brown.jsonl')
  const tokenizer = join(root, 'out', 'demo', 'tokenizer.json')
  brown(corpus)
  if (!existsSync(tokenizer)) await trainTokenizer({ corpus, out: tokenizer })
  return { corpus, tokenizer }
}

/** An empty folder inside the package, so that programs find `longweave` by its own name; `files` are copied into it. */
export function folderFor(name, files) {
  const folder = join(root, 'out', name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [to, from] of Object.entries(files)) {
    mkdirSync(join(folder, to, '..'), { recursive: true })
    cpSync(from, join(folder, to), { recursive: true })
  }
  return folder
}

/** The environment of commands: `longweave` is the program that was built. */
export function environment() {
  const bin = folderFor('bin', {})
  writeFileSync(join(bin, 'longweave'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`)
  chmodSync(join(bin, 'longweave'), 0o755)
  return { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` }
}

/** Runs a program; a status other than 0 ends this process with its output. Returns its output. */
export function check(where, what, program, args, options) {
  const start = Date.now()
  const { status, signal, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', ...options })
  if (error || status !== 0)
    fail(`${where}: ${what} ended with ${error?.message ?? signal ?? status}\n${stdout}${stderr}`)
  console.log(`  ${where}: ${what}, ${((Date.now() - start) / 1000).toFixed(1)} s`)
  return stdout
}

/** Compiles programs `{ name, lines }` with the project's settings into `folder`; the paths of the JavaScript files. */
export function compile(folder, programs) {
  for (const { name, lines } of programs) writeFileSync(join(folder, `${name}.ts`), `${lines.join('\n')}\n`)
  const compilerOptions = { rootDir: '.', outDir: 'js', declaration: false }
  const settings = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['*.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings))
  check('all programs', 'types', tsc, ['-p', folder], { cwd: folder })
  return programs.map(({ name }) => join(folder, 'js', `${name}.js`))
}
