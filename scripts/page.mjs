// The report's page: ts/report/app.ts with the libraries it uses as one file, its style, and the notices of every package in it → dist/report/.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { notices } from './notices.mjs'

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

const outputs = Object.fromEntries(outputFiles.map(({ path, text }) => [path.slice(to.length + 1), text]))
const script = outputs['app.js'] ?? ''
// Either would end the script, or begin a comment, in the middle of the page.
if (/<\/script|<!--/i.test(script)) throw new Error('the script holds </script or <!-- and cannot stand in a page')

mkdirSync(to, { recursive: true })
writeFileSync(join(to, 'app.js'), script)
writeFileSync(join(to, 'app.css'), outputs['app.css'] ?? '')
writeFileSync(join(to, 'LICENSES.txt'), notices(metafile, outputFiles))
console.log(`dist/report: app.js of ${script.length.toLocaleString('en')} bytes`)
