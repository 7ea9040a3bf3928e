// Dependencies point downwards only: the crates' edges, and the façade's imports, against what ARCHITECTURE.md draws; the files of a crate, and of ts/.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import {
  circles,
  crateNames,
  crateSources,
  root,
  rustDependencies,
  sourcesBelow,
  typescriptDependencies,
} from './circles.ts'

/** The crates below `run`, for its options and the work of stages. */
const foundation = [
  'common',
  'storage',
  'remote',
  'language',
  'keywords',
  'corpus',
  'tokens',
  'plan',
  'formats',
  'inference',
  'index',
  'duplicates',
]

/** For each crate those it may depend on; `index` knows the plan's `Forest`, which `related` climbs. */
const allowed: Record<string, string[]> = {
  common: [],
  storage: ['common'],
  language: [],
  keywords: ['common', 'language'],
  remote: ['common', 'storage'],
  corpus: ['common', 'storage', 'remote'],
  tokens: ['common', 'storage'],
  inference: ['common', 'storage', 'tokens'],
  plan: ['common', 'storage'],
  formats: ['common', 'storage'],
  neighbours: ['common', 'storage', 'language'],
  duplicates: ['language'],
  report: ['duplicates', 'neighbours'],
  predict: ['common', 'storage', 'language', 'keywords', 'corpus'],
  index: ['common', 'storage', 'keywords', 'plan', 'neighbours'],
  pack: ['common', 'storage', 'tokens', 'plan', 'formats'],
  run: foundation,
  stages: [...foundation, 'neighbours', 'predict', 'pack', 'report', 'run'],
  driver: ['common', 'storage', 'corpus', 'plan', 'run', 'stages'],
  api: [...foundation, 'predict', 'run', 'stages', 'driver'],
  node: ['common', 'api'],
  worker: ['api'],
}

interface Metadata {
  packages: { name: string; dependencies: { name: string; kind: string | null; path?: string }[] }[]
}

const own = (name: string) => name.replace(/^longweave-/, '')

function crates(): Record<string, string[]> {
  const args = ['metadata', '--offline', '--no-deps', '--format-version', '1']
  const { stdout, stderr, status } = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  expect(status, stderr).toBe(0)
  const { packages } = JSON.parse(stdout) as Metadata
  return Object.fromEntries(
    packages.map(({ name, dependencies }) => {
      const below = dependencies.filter(({ kind, path }) => kind === null && path !== undefined)
      return [own(name), below.map((dependency) => own(dependency.name))]
    }),
  )
}

test('each crate depends only on crates below it', () => {
  const found = crates()
  expect(Object.keys(found).toSorted()).toEqual(Object.keys(allowed).toSorted())
  for (const [crate, dependencies] of Object.entries(found)) {
    expect(
      dependencies.filter((name) => !allowed[crate]?.includes(name)),
      `${crate} depends on`,
    ).toEqual([])
  }
})

test('the allowed edges have no cycle', () => {
  const order: string[] = []
  const left = new Map(Object.entries(allowed))
  while (left.size > 0) {
    const next = [...left].find(([, below]) => below.every((name) => order.includes(name)))
    expect(next, `among ${[...left.keys()].join(', ')}`).toBeDefined()
    order.push(next?.[0] ?? '')
    left.delete(next?.[0] ?? '')
  }
})

test('every crate is drawn in ARCHITECTURE.md', () => {
  const drawn = /```\n([\s\S]*?)```/.exec(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'))?.[1] ?? ''
  for (const crate of Object.keys(allowed)) expect(drawn).toMatch(new RegExp(`\\b${crate}\\b`))
})

test('no crate has a circle of files', () => {
  const found = crateNames().filter((crate) => circles(rustDependencies(crateSources(crate))).length > 0)
  expect(found).toEqual([])
})

test('ts/ has no circle of files', () => {
  expect(circles(typescriptDependencies(sourcesBelow('ts', '.ts')))).toEqual([])
})

test('a circle of Rust files is found behind lib.rs, and in paths, but not in tests, comments, and re-exports', () => {
  const found = rustDependencies(
    new Map([
      ['lib.rs', 'mod a; pub mod b; mod c; pub use crate::{a::{Kind, Other}, c::*};'],
      ['a.rs', 'use super::b::d as deeper;\npub enum Kind { A }\nfn f() { deeper::g("\\"crate::c::X") }'],
      ['b/mod.rs', "// crate::c::X\nmod d;\n#[cfg(test)]\nmod tests { use crate::c::X; }\nfn f<'a>() { d::g('\"') }"],
      ['b/d.rs', 'pub fn g() { crate::Kind::A; super::super::X::new() }'],
      ['c.rs', 'use crate::Other; pub struct X;'],
    ]),
  )
  expect(Object.fromEntries([...found].map(([file, others]) => [file, [...others].toSorted()]))).toEqual({
    'lib.rs': [],
    'a.rs': ['b/d.rs'],
    'b/mod.rs': ['b/d.rs'],
    'b/d.rs': ['a.rs', 'c.rs'],
    'c.rs': ['a.rs'],
  })
  expect(circles(found)).toEqual([['a.rs', 'b/d.rs', 'c.rs']])
})

test('a circle of TypeScript files is found in imports of types and values, and in re-exports', () => {
  const found = typescriptDependencies(
    new Map([
      ['a.ts', "import type { B } from './b/b.ts'"],
      ['b/b.ts', "export {\n  c,\n} from './c.ts'\nimport { z } from 'zod'"],
      ['b/c.ts', "const a = await import('../a.ts')"],
      ['d.ts', "import './e.css'\nimport { a } from './a.ts'"],
    ]),
  )
  expect(circles(found)).toEqual([['a.ts', 'b/b.ts', 'b/c.ts']])
})

test('the façade does not know the command line, and only its own files know the binding', () => {
  const binding: string[] = []
  for (const [file, source] of sourcesBelow('ts', '.ts')) {
    const path = join('ts', file)
    for (const [, type, from] of source.matchAll(/^(?:import|export) (type )?[^'"]*?from '([^']+)'/gm)) {
      if (from === '#binding' && type === undefined) binding.push(path)
      if (from?.startsWith('.')) {
        const to = relative(root, join(root, dirname(path), from))
        if (!path.startsWith(join('ts', 'cli')))
          expect(to.startsWith(join('ts', 'cli')), `${path} imports ${to}`).toBe(false)
      }
    }
  }
  // Types come from #binding; values only through ts/binding.ts, which explains an addon that does not load.
  expect(binding).toEqual([])
})

test('no crate but the binding knows Node', () => {
  for (const crate of Object.keys(allowed)) {
    const manifest = readFileSync(join(root, 'crates', crate, 'Cargo.toml'), 'utf8')
    expect(/\bnapi\b/.test(manifest), crate).toBe(crate === 'node')
  }
})
