// Runs the examples of the API: each ```ts block after `@example` in the comments of dist/*.d.ts, compiled and run in a folder with a corpus
// (docs.jsonl), a tokenizer.json, an encoder model and a finished run in `out`. An exported function or class without an example is an error.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { check, compile, demo, environment, folderFor } from './programs.mjs'
import { fail, root } from './setup.mjs'

/** Documents of the corpus: enough for a few sequences of one keyword. */
const DOCUMENTS = 300

const dist = join(root, 'dist')
const exported = Object.entries(await import(join(dist, 'index.js')))
const names = exported.filter(([, value]) => typeof value === 'function').map(([name]) => name)

/** The examples of a declaration file: `{ of, lines }`, where `of` is the declaration or member after the comment. */
function examplesOf(text) {
  const found = []
  let owner = ''
  for (const match of text.matchAll(/\/\*\*([\s\S]*?)\*\/\s*([^\n]*)|^export declare (?:abstract )?class (\w+)/gm)) {
    const [, comment, declaration, bare] = match
    if (bare !== undefined) {
      owner = bare
      continue
    }
    const top = /^export declare (?:abstract )?(function|class|const) (\w+)/.exec(declaration)
    const member = /^(?:static |get |readonly |async )*\*?(\w+|\[[\w.]+\])/.exec(declaration)
    if (top?.[1] === 'class') owner = top[2]
    const of = top?.[2] ?? `${owner}.${member?.[1] ?? '?'}`
    const plain = comment.replaceAll(/^[^\S\n]*\* ?/gm, '')
    for (const example of plain.matchAll(/@example[^\n]*\n```ts\n([\s\S]*?)\n```/g))
      found.push({ of, lines: example[1].split('\n') })
  }
  return found
}

const examples = readdirSync(dist)
  .filter((name) => name.endsWith('.d.ts'))
  .flatMap((name) => examplesOf(readFileSync(join(dist, name), 'utf8')))
  .map((example, i) => ({ ...example, name: `example-${i + 1}` }))
const without = names.filter((name) => !examples.some(({ of }) => of === name))
if (without.length > 0) fail(`Exported without an @example: ${without.join(', ')}.`)

const { corpus, tokenizer } = await demo()
const model = (name) => [`encoder/${name}`, join(root, '__test__', 'fixtures', 'models', 'bert', name)]
const encoder = Object.fromEntries(['config.json', 'model.onnx', 'tokenizer.json'].map(model))
const folder = folderFor('examples', { 'tokenizer.json': tokenizer, ...encoder })
const rows = readFileSync(corpus, 'utf8').split('\n').slice(0, DOCUMENTS)
writeFileSync(join(folder, 'docs.jsonl'), `${rows.join('\n')}\n`)
const env = environment()
const options = '--corpus docs.jsonl --id-field id --tokenizer tokenizer.json --length 2048 --out out'
check('a finished run', 'out', 'sh', ['-c', `longweave run ${options}`], { cwd: folder, env })
console.log(`\n▸ ${examples.length} examples of ${names.length} exported functions and classes`)
for (const [i, file] of compile(folder, examples).entries()) {
  const output = check('ts', examples[i].of, process.execPath, [file], { cwd: folder, env })
  if (process.argv.includes('--show')) console.log(output)
}
