// The documentation site: pages of the repository and the API reference → site/pages (VitePress' source) → site/dist.
// Needs the packages of site/ and the built addon's types; nothing from the network. `--pages` stops before VitePress.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const site = dirname(fileURLToPath(import.meta.url))
const root = dirname(site)
const pages = join(site, 'pages')

/** Markdown files of the repository that are pages; folders are searched. */
const SOURCES = [
  'README.md',
  'ARCHITECTURE.md',
  'FORMATS.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs',
  'benches',
  'fuzz/README.md',
  'models/doc2query-mini/README.md',
  'tools/export/README.md',
]

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: site, stdio: 'inherit' })
  if (error || status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? `exit ${status}`}`)
}

function filesOf(path) {
  if (statSync(join(root, path)).isFile()) return [path]
  return readdirSync(join(root, path), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? filesOf(`${path}/${entry.name}`)
      : /\.(?:md|svg)$/.test(entry.name)
        ? [`${path}/${entry.name}`]
        : [],
  )
}

/** A folder's README is its index page. */
const pageOf = (path) => path.replace(/(^|\/)README\.md$/, '$1index.md')

/** Copies a file that pages link to, and returns its address on the site. */
function attach(path) {
  const name = posix.extname(path) === '' ? `${path}.txt` : path
  const to = join(pages, 'public', 'files', name)
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(join(root, path), to)
  return `/files/${name}`
}

/** Links to READMEs become links to index pages; other files of the repository are copied to the site. */
function link(from, target, files) {
  if (/^[a-z][a-z+.-]*:|^#/i.test(target)) return target
  const [path, anchor = ''] = target.split(/(?=#)/)
  const full = posix.normalize(posix.join(posix.dirname(from), path))
  const readme = posix.join(full, 'README.md')
  if (files.has(full))
    return posix.basename(full) === 'README.md' ? `${path.replace(/README\.md$/, 'index.md')}${anchor}` : target
  if (files.has(readme)) return `${path.replace(/\/?$/, '/')}index.md${anchor}`
  if (full === 'docs') return '/docs/options.md'
  return attach(full)
}

function stage() {
  rmSync(pages, { recursive: true, force: true })
  const files = new Set(SOURCES.flatMap(filesOf))
  for (const path of files) {
    const to = join(pages, pageOf(path))
    mkdirSync(dirname(to), { recursive: true })
    if (!path.endsWith('.md')) {
      copyFileSync(join(root, path), to)
      continue
    }
    const parts = readFileSync(join(root, path), 'utf8').split(/(^```[\s\S]*?^```$|`[^`\n]*`)/m)
    const text = parts.map((part, i) =>
      i % 2 === 1
        ? part
        : part.replaceAll(/(\]\(\s*)([^)\s]+)/g, (_, before, target) => before + link(path, target, files)),
    )
    writeFileSync(to, text.join(''))
  }
}

stage()
run(process.execPath, [join(site, 'node_modules', 'typedoc', 'bin', 'typedoc'), '--options', 'typedoc.json'])
if (!process.argv.includes('--pages')) {
  run(process.execPath, [join(site, 'node_modules', 'vitepress', 'bin', 'vitepress.js'), 'build', '.'])
  console.log(`The site is in ${relative(process.cwd(), join(site, 'dist'))}.`)
}
