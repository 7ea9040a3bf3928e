// The boundary to Rust: whatever reads, writes, waits or computes for long resolves a promise from a thread of ours.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './support.ts'

const declarations = readFileSync(join(root, 'binding/index.d.ts'), 'utf8').replaceAll(/\/\*\*.*?\*\//gs, '')

/** Functions, methods, getters and constructors of the addon with the types that they return. */
function callables(): { name: string; returns: string }[] {
  const functions = [...declarations.matchAll(/^export declare function (\w+)\(.*\): (.+)$/gm)]
  const classes = [...declarations.matchAll(/^export declare class (\w+) \{\n(.*?)^\}/gms)]
  const members = classes.flatMap(([, type = '', body = '']) =>
    body
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .map((line) => {
        const [, name, returns] = /^(?:static )?(?:get )?(\w+)\(.*\)(?:: (.+))?$/.exec(line) ?? []
        return { name: `${type}.${name}`, returns: returns ?? type }
      }),
  )
  return [...functions.map(([, name = '', returns = '']) => ({ name, returns })), ...members]
}

/** The calls that answer at once, and why they may: none opens a file, waits for a lock, or takes longer than its input. */
const pure: Record<string, string> = {
  'Cancellation.constructor': 'a flag',
  'Cancellation.cancel': 'sets the flag',
  'NativeEmbedder.device': 'a field',
  'NativeEmbedder.dimensions': 'a field',
  'NativeOutput.manifest': 'a field',
  'NativeOutput.sequences': 'a field',
  'NativePredictor.info': 'a field',
  'NativeRake.constructor': 'options and built-in words',
  'NativeRake.extract': 'works on the texts that are given',
  'NativeRake.single': 'copies an extractor',
  rakeOne: 'works on the text that is given',
  'NativeRun.cancel': 'sets the flag',
  'NativeRun.start': 'starts the thread that does everything else',
  offerOnnxRuntime: 'keeps a path',
  optionsRoundTrip: 'works on the options that are given, in addons that are built for tests',
  version: 'a constant',
}

test('the calls of the addon that answer at once are those of a list, and all others give promises', () => {
  const all = callables()
  // Each line that declares something callable was understood.
  const lines = declarations.split('\n').filter((line) => /\(.*\)/.test(line))
  expect(all.map(({ name }) => name).filter((name) => name.includes('undefined'))).toEqual([])
  expect(all.length).toBe(lines.length)
  const immediate = all.filter(({ returns }) => !returns.startsWith('Promise<')).map(({ name }) => name)
  expect(immediate.toSorted()).toEqual(Object.keys(pure).toSorted())
})
