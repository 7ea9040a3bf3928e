// ts/generated from the Rust types: the Rust test that compares the two writes the files first.
import { cargoEnvironment, run } from './setup.mjs'

run(
  'Types from Rust',
  'cargo',
  ['test', '--workspace', '--lib', '--profile', 'quick', '--quiet', '--', 'the_generated_types_are_those_of_rust'],
  { ...cargoEnvironment(), LONGWEAVE_UPDATE: '1' },
)
