// Dependencies point downwards only: the crates' edges, and the façade's imports, against what ARCHITECTURE.md draws.
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './support.ts'

/** For each crate those it may depend on; `index` knows the plan's `Forest`, which `related` climbs. */
const allowed: Record<string, string[]> = {
  common: [],
  storage: ['common'],
  keywords: ['common'],
  remote: ['common', 'storage'],
  corpus: ['common', 'storage', 'remote'],
  tokens: ['common', 'storage'],
  inference: ['common', 'storage'],
  plan: ['common', 'storage'],
  formats: ['common', 'storage'],
  neighbours: ['common'],
  report: ['neighbours'],
  predict: ['common', 'storage', 'keywords', 'corpus'],
  index: ['common', 'storage', 'keywords', 'plan', 'neighbours'],
  pack: ['common', 'storage', 'tokens', 'plan', 'formats'],
  pipeline: [
    'common',
    'storage',
    'remote',
    'keywords',
    'corpus',
    'tokens',
    'plan',
    'formats',
    'inference',
    'neighbours',
    'predict',
    'index',
    'pack',
    'report',
  ],
  node: ['common', 'pipeline'],
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

const sources = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? sources(path) : path.endsWith('.ts') ? [path] : []
  })

test('the façade does not know the command line, and only its own files know the binding', () => {
  const binding: string[] = []
  for (const path of sources('ts')) {
    const imports = [
      ...readFileSync(join(root, path), 'utf8').matchAll(/^(?:import|export) (type )?[^'"]*?from '([^']+)'/gm),
    ]
    for (const [, type, from] of imports) {
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
