// The command line: ts/cli/main.ts with the packages it uses as a few files, since reading a hundred modules takes longer than most commands → dist/cli/.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { notices } from './notices.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const to = join(root, 'dist/cli')

const { outputFiles, metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['ts/cli/main.ts'],
  outdir: to,
  bundle: true,
  // A command is loaded with what it needs.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // Names stay as they are in stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  external: ['#binding'],
  legalComments: 'external',
  metafile: true,
  write: false,
  logLevel: 'warning',
})

mkdirSync(to, { recursive: true })
const scripts = outputFiles.filter(({ path }) => path.endsWith('.js'))
for (const { path, contents } of scripts) writeFileSync(path, contents)
chmodSync(join(to, 'main.js'), 0o755)
writeFileSync(join(to, 'LICENSES.txt'), notices(metafile, outputFiles))
const bytes = scripts.reduce((sum, { contents }) => sum + contents.length, 0)
console.log(`dist/cli: ${scripts.length} files of ${bytes.toLocaleString('en')} bytes`)
