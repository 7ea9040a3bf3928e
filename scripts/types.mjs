// ts/generated from the Rust types: the Rust test that compares the two writes the files first, Prettier lays them out.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cargoEnvironment, root, run } from './setup.mjs'

run(
  'Types from Rust',
  'cargo',
  ['test', '--workspace', '--lib', '--profile', 'quick', '--quiet', '--', 'the_generated_types_are_those_of_rust'],
  { ...cargoEnvironment(), LONGWEAVE_UPDATE: '1' },
)
const folder = join(root, 'ts', 'generated')
for (const name of readdirSync(folder)) {
  const text = readFileSync(join(folder, name), 'utf8')
  const short = text.replaceAll(/\/\*\*\n\s*\* ([^\n]*)\n\s*\*\//g, '/** $1 */')
  writeFileSync(join(folder, name), short)
}
run('Layout', process.execPath, ['node_modules/prettier/bin/prettier.cjs', '--write', '--log-level', 'warn', folder])
