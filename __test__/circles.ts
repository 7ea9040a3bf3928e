// Which files of a crate, or of ts/, need which others, and the circles among them.
// As a program (`npx tsx __test__/circles.ts`) it prints a Markdown table of the crates.
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository. */
export const root = fileURLToPath(new URL('..', import.meta.url))

/** For each file the files it names, by paths from the repository. */
export type Dependencies = Map<string, Set<string>>

/** The text of each file, by its path. */
export type Sources = Map<string, string>

/** The files below a folder of the repository whose names end so, by their paths in the folder. */
export const sourcesBelow = (folder: string, ending: string): Sources =>
  new Map(
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith(ending))
      .toSorted()
      .map((path) => [path.replaceAll(sep, '/'), readFileSync(join(root, folder, path), 'utf8')]),
  )

/** The strongly connected components of more than one file (Tarjan 1972). */
export function circles(dependencies: Dependencies): string[][] {
  const found: string[][] = []
  const numbers = new Map<string, number>()
  const stack: string[] = []
  const visit = (file: string): number => {
    const own = numbers.size
    numbers.set(file, own)
    const depth = stack.push(file) - 1
    let lowest = own
    for (const next of dependencies.get(file) ?? []) {
      const number = numbers.get(next)
      if (number === undefined) lowest = Math.min(lowest, visit(next))
      else if (stack.includes(next)) lowest = Math.min(lowest, number)
    }
    if (lowest === own) {
      const component = stack.splice(depth)
      if (component.length > 1) found.push(component.toSorted())
    }
    return lowest
  }
  for (const file of dependencies.keys()) if (!numbers.has(file)) visit(file)
  return found
}

/** Imports and re-exports of TypeScript, of types too. */
export const typescriptDependencies = (sources: Sources): Dependencies =>
  new Map(
    [...sources].map(([file, source]) => {
      const imports = source.matchAll(/^(?:import|export)\b[^'"]*?from '(\.[^']+)'|\bimport\(\s*'(\.[^']+)'/gm)
      const named = [...imports].map(([, from, lazily]) =>
        normalize(join(dirname(file), from ?? lazily ?? '')).replaceAll(sep, '/'),
      )
      return [file, new Set(named.filter((path) => path !== file && sources.has(path)))]
    }),
  )

/** Rust without comments, and without the contents of strings and characters. */
const bare = (source: string): string =>
  source.replaceAll(
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|\bb?r(#*)"[\s\S]*?"\1|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[^']+|\\'|[^\\'])'/gu,
    (text) => (text.startsWith('/') ? ' ' : '""'),
  )

/** Where the item that begins at `start` ends: at its `;`, or with its outermost braces. */
function itemEnd(code: string, start: number): number {
  let depth = 0
  for (let i = start; i < code.length; i += 1) {
    const sign = code[i] ?? ''
    if ('([{'.includes(sign)) depth += 1
    else if (')]}'.includes(sign)) depth -= 1
    if (depth === 0 && (sign === ';' || sign === '}')) return i + 1
  }
  return code.length
}

/** Rust without the items that only tests have. */
function withoutTests(code: string): string {
  const at = code.indexOf('#[cfg(test)]')
  return at === -1 ? code : code.slice(0, at) + withoutTests(code.slice(itemEnd(code, at + '#[cfg(test)]'.length)))
}

interface Import {
  path: string[]
  /** The name in this file; `*` for all names of a module. */
  name: string
  exported: boolean
}

/** The paths of a tree of `use`: `a::{b, c as d}` has two. */
function useTree(tree: string, before: string[]): Omit<Import, 'exported'>[] {
  const open = tree.indexOf('{')
  if (open === -1) {
    const [path = '', alias] = tree.trim().split(/\s+as\s+/)
    const parts = path.split('::').map((part) => part.trim())
    const full = [...before, ...(parts.at(-1) === 'self' && before.length > 0 ? parts.slice(0, -1) : parts)]
    return path === '' ? [] : [{ path: full, name: alias ?? full.at(-1) ?? '' }]
  }
  const prefix = tree
    .slice(0, open)
    .split('::')
    .map((part) => part.trim())
  const branches = ['']
  let depth = 0
  for (const sign of tree.slice(open + 1, tree.lastIndexOf('}'))) {
    depth += sign === '{' ? 1 : sign === '}' ? -1 : 0
    if (sign === ',' && depth === 0) branches.push('')
    else branches[branches.length - 1] += sign
  }
  return branches.flatMap((branch) => useTree(branch, [...before, ...prefix.filter((part) => part !== '')]))
}

interface Module {
  file: string
  path: string[]
  /** The code except its `use`. */
  code: string
  imports: Import[]
  items: Set<string>
}

interface Place {
  at: Module
  name: string | undefined
}

const ITEM = /\b(?:fn|struct|enum|union|trait|type|const|static|macro_rules!)\s+(\w+)/g

const modules = (sources: Sources): Map<string, Module> =>
  new Map(
    [...sources].map(([file, source]) => {
      const path = file.slice(0, -'.rs'.length).split('/')
      if (['lib', 'main', 'mod'].includes(path.at(-1) ?? '')) path.pop()
      const imports: Import[] = []
      const declared = withoutTests(bare(source)).replaceAll(/\bmod\s+\w+\s*;/g, ' ')
      const code = declared.replaceAll(
        /\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);/g,
        (_, visibility: string | undefined, tree: string) => {
          imports.push(...useTree(tree, []).map((use) => ({ ...use, exported: visibility !== undefined })))
          return ' '
        },
      )
      const items = new Set([...code.matchAll(ITEM)].map(([, name = '']) => name))
      return [path.join('::'), { file, path, code, imports, items }]
    }),
  )

/**
 * The dependencies among the files of a crate. A path leads to the file that defines its name, through re-exports, so that a circle
 * cannot hide behind lib.rs. A file does not depend on names that it re-exports and does not use, nor on modules that it declares.
 */
export function rustDependencies(sources: Sources): Dependencies {
  const all = modules(sources)

  /** The module that `path`, written in `module`, leads to, and the name that is left; none outside the crate. */
  function locate(module: Module, path: string[]): Place | undefined {
    let [first = '', ...rest] = path
    let base = module.path
    if (first === 'crate') base = []
    else if (first === 'super') {
      base = base.slice(0, -1)
      while (rest[0] === 'super') {
        base = base.slice(0, -1)
        rest = rest.slice(1)
      }
    } else if (first !== 'self') {
      if (!all.has([...base, first].join('::'))) return undefined
      rest = [...path]
    }
    while (rest.length > 0 && all.has([...base, rest[0] ?? ''].join('::'))) base = [...base, rest.shift() ?? '']
    const at = all.get(base.join('::'))
    return at && { at, name: rest[0] }
  }

  /** The file that defines `name` of a module; the module's own where nothing else is known. */
  function define(at: Module, name: string | undefined, seen: Set<string> = new Set()): string {
    const key = `${at.file} ${name ?? ''}`
    if (name === undefined || at.items.has(name) || seen.has(key)) return at.file
    seen.add(key)
    for (const { path, name: bound } of at.imports) {
      const to: Place | undefined =
        bound === name || bound === '*' ? locate(at, bound === '*' ? path.slice(0, -1) : path) : undefined
      if (to === undefined) continue
      if (bound === name) return define(to.at, to.name, seen)
      if (to.at.items.has(name)) return to.at.file
    }
    return at.file
  }

  return new Map(
    [...all.values()].map((module) => {
      const named = new Set<string>()
      const words = new Set(module.code.match(/\w+/g))
      for (const { path, name, exported } of module.imports) {
        const to = locate(module, name === '*' ? path.slice(0, -1) : path)
        if (to === undefined) continue
        if (name !== '*') {
          if (!exported || words.has(name)) named.add(define(to.at, to.name))
        } else {
          for (const word of words)
            if (to.at.items.has(word) || to.at.imports.some((use) => use.name === word)) named.add(define(to.at, word))
        }
      }
      for (const [path] of module.code.matchAll(/(?<![\w:])\w+(?:\s*::\s*\w+)+/g)) {
        const parts = path.split('::').map((part) => part.trim())
        const through = module.imports.find(({ name }) => name === parts[0])
        const to = locate(module, through ? [...through.path, ...parts.slice(1)] : parts)
        if (to !== undefined) named.add(define(to.at, to.name))
      }
      named.delete(module.file)
      return [module.file, named]
    }),
  )
}

/** The names of the crates. */
export const crateNames = (): string[] => readdirSync(join(root, 'crates')).toSorted()

/** The Rust files of a crate's `src/`. */
export const crateSources = (crate: string): Sources => sourcesBelow(`crates/${crate}/src`, '.rs')

const OPEN = /\bpub\s+(?:const\s+|unsafe\s+|async\s+)*(?:fn|struct|enum|union|trait|type|static|const)\s/g

function row(name: string, sources: Sources, dependencies: Dependencies, items: string): string {
  const lines = [...sources.values()].join('').split('\n').length - 1
  const found = circles(dependencies).map((files) => `${files.length}: ${files.join(' ')}`)
  return `| ${name} | ${lines} | ${sources.size} | ${items} | ${found.join('; ') || '–'} |`
}

/** Lines and files count tests in `src/`; public items are functions, types, traits and constants outside tests. */
function table(): string {
  const rows = crateNames().map((crate) => {
    const sources = crateSources(crate)
    const items = [...sources.values()].flatMap((source) => withoutTests(bare(source)).match(OPEN) ?? [])
    return row(`crates/${crate}`, sources, rustDependencies(sources), `${items.length}`)
  })
  const ts = sourcesBelow('ts', '.ts')
  rows.push(row('ts', ts, typescriptDependencies(ts), ''))
  return `| folder | lines | files | public items | circles |\n| --- | ---: | ---: | ---: | --- |\n${rows.join('\n')}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(table())
