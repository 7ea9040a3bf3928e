// The report's page: ts/report/app.ts with the libraries it uses as one file, its style, and the notices of every package in it → dist/report/.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const to = join(root, 'dist/report')

const { outputFiles, metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['ts/report/app.ts', 'ts/report/app.css'],
  outdir: to,
  bundle: true,
  minify: true,
  format: 'iife',
  platform: 'browser',
  target: 'es2022',
  // Further legal comments of packages go to a file of their own, and from there to LICENSES.txt.
  legalComments: 'external',
  tsconfig: 'tsconfig.page.json',
  metafile: true,
  write: false,
  logLevel: 'warning',
})

const manifest = (folder) => JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))

/**
 * Folders of the packages that something in the outputs is from. Those that they depend on are among them, whether seen in the outputs or not: a package's own
 * build can hold others, as d3-array's does.
 */
function packages() {
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs ?? {}))
  const seen = inputs.flatMap(([path, { bytesInOutput }]) =>
    bytesInOutput > 0 ? (/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []) : [],
  )
  const needed = seen.flatMap((folder) =>
    Object.keys(manifest(folder).dependencies ?? {}).map((name) => `node_modules/${name}`),
  )
  return [...new Set([...seen, ...needed])].toSorted()
}

/** The licence of each package, once for all that have the same text. */
function notices() {
  const byText = new Map()
  for (const folder of packages()) {
    const { name, version } = manifest(folder)
    const files = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
    if (files.length === 0) throw new Error(`${name} has no licence file, so it cannot be part of the page`)
    const text = files
      .toSorted()
      .map((file) =>
        readFileSync(join(root, folder, file), 'utf8')
          .replaceAll('\r', '')
          .trim(),
      )
      .join('\n\n')
    byText.set(text, (byText.get(text) ?? new Set()).add(`${name} ${version}`))
  }
  return [...byText].map(([text, names]) => `${[...names].join(', ')}\n\n${text}\n`)
}

const outputs = Object.fromEntries(outputFiles.map(({ path, text }) => [path.slice(to.length + 1), text]))
const comments = Object.entries(outputs).flatMap(([name, text]) =>
  name.endsWith('.LEGAL.txt') && text.trim() !== '' ? [text] : [],
)
const script = outputs['app.js'] ?? ''
// Either would end the script, or begin a comment, in the middle of the page.
if (/<\/script|<!--/i.test(script)) throw new Error('the script holds </script or <!-- and cannot stand in a page')

mkdirSync(to, { recursive: true })
writeFileSync(join(to, 'app.js'), script)
writeFileSync(join(to, 'app.css'), outputs['app.css'] ?? '')
writeFileSync(join(to, 'LICENSES.txt'), [...notices(), ...comments].join(`\n${'-'.repeat(80)}\n\n`))
console.log(`dist/report: app.js of ${script.length.toLocaleString('en')} bytes`)
