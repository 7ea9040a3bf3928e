// The generated types against real JSON: results of real runs as TypeScript literals, which the compiler holds against their types.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { QueryPredictor, clean, dryRun, prepare, report, show, status, verify } from '../ts/index.ts'
import type { RunOptions } from '../ts/index.ts'
import { finished, folder, plain, randomCorpus, root, topKeywords, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const at = (name: string) => join(directory, name)
const documents = randomCorpus(5, 80, 40).map((document, i) => ({
  ...document,
  source: i % 3 === 0 ? 'news' : 'forum',
}))
const base = {
  ...plain,
  corpus: writeJsonl(at('corpus.jsonl'), documents),
  tokenizer: wordTokenizer(directory),
  length: 32,
  work: at('work'),
}
const quest = {
  ...base,
  sourceField: 'source',
  holdout: 0.3,
  method: { name: 'quest', fill: 'related' },
  output: { directory: at('quest') },
} satisfies RunOptions
const knn = {
  ...base,
  method: { name: 'knn', k: 3 },
  output: { directory: at('knn'), provenance: 'none' },
} satisfies RunOptions

const json = (...path: string[]): unknown => JSON.parse(readFileSync(join(directory, ...path), 'utf8'))

/** Results with the names of their types. */
async function results(): Promise<[type: string, value: unknown][]> {
  const found: [string, unknown][] = [
    ['DryRun', await dryRun(quest)],
    ['PredictorInfo', (await QueryPredictor.open()).info],
  ]
  const prepared = await prepare({ ...base, output: { directory: at('prepared') } })
  found.push(['RunStatus', await status(at('prepared'))], ['StageInfo[]', await prepared.tasks()])
  found.push(['TaskRecord[]', await prepared.runTasks({ stage: 'scan', tasks: 'all' })])
  for (const options of [quest, knn]) {
    const out = options.output.directory
    const { summary, events } = await finished(options)
    found.push(['Summary', summary], ['RunEvent[]', events], ['RunStatus', await status(out)])
    found.push(['DryRun', await dryRun(options)], ['VerifyReport', await verify(out)])
    found.push(['ShownSequence', await show(out, 0)], ['ShownSequence', await show(out, 1, { why: true })])
    found.push(['RunReport', json(options.method.name, 'report.json')])
    found.push(['Manifest', json(options.method.name, 'longweave.json')])
  }
  found.push(['KeywordCount[]', await topKeywords(at('quest'))])
  found.push(['CleanReport', await clean(at('work'), { keep: [at('quest')], dryRun: true })])
  found.push(['WrittenReport', await report([at('quest'), at('knn')], { out: at('page.html') })])
  return found
}

/** The value with a member that its type does not know, and without one that it must have. */
function broken(value: unknown): unknown[] {
  const list = Array.isArray(value)
  const object = (list ? value[0] : value) as Record<string, unknown>
  const { [Object.keys(object)[0] ?? '']: _first, ...without } = object
  return [{ ...object, unheardOf: 1 }, without].map((one) => (list ? [one] : one))
}

test('results of real runs have exactly the members that their generated types say', async () => {
  const values = await results()
  for (const [type, value] of values) expect(value, type).not.toEqual([])
  const types = [...new Set(values.map(([type]) => type.replace('[]', '')))]
  const imports = `import type { ${types.join(', ')} } from ${JSON.stringify(join(root, 'ts/index.ts'))}\n`
  const file = (literals: [string, unknown][]) =>
    imports + literals.map(([type, value], i) => `export const v${i}: ${type} = ${JSON.stringify(value)}\n`).join('')
  writeFileSync(at('whole.ts'), file(values))
  const wrong = values.flatMap(([type, value]) => broken(value).map((one): [string, unknown] => [type, one]))
  writeFileSync(at('broken.ts'), file(wrong))
  const compilerOptions = {
    noEmit: true,
    rewriteRelativeImportExtensions: false,
    allowImportingTsExtensions: true,
    rootDir: '/',
    typeRoots: [join(root, 'node_modules/@types')],
  }
  const configuration = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['*.ts'] }
  writeFileSync(at('tsconfig.json'), JSON.stringify(configuration))
  writeFileSync(at('package.json'), '{"type":"module"}')
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', directory, '--pretty', 'false'], { encoding: 'utf8' })
  const errors = stdout.split('\n').filter((line) => /^\S/.test(line))
  expect(errors.filter((line) => !line.includes('broken.ts('))).toEqual([])
  // Every broken value is an error: the compiler does look.
  const lines = new Set(errors.map((line) => Number(/broken\.ts\((\d+),/.exec(line)?.[1])))
  expect([...lines].toSorted((a, b) => a - b)).toEqual(wrong.map((_, i) => i + 2))
})
