// The notices of the packages that esbuild puts into a bundle.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = (folder) => JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))

/**
 * Folders of the packages that something in the outputs is from. Those that they depend on are among them, whether seen in the outputs or not: a package's own
 * build can hold others, as d3-array's does.
 */
function packages(metafile) {
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs ?? {}))
  const seen = inputs.flatMap(([path, { bytesInOutput }]) =>
    bytesInOutput > 0 ? (/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []) : [],
  )
  const needed = seen.flatMap((folder) =>
    Object.keys(manifest(folder).dependencies ?? {}).map((name) => `node_modules/${name}`),
  )
  return [...new Set([...seen, ...needed])].toSorted()
}

/** The licence of each package in the outputs, once for all that have the same text. */
function licences(metafile) {
  const byText = new Map()
  for (const folder of packages(metafile)) {
    const { name, version } = manifest(folder)
    const files = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
    if (files.length === 0) throw new Error(`${name} has no licence file, so it cannot be part of a bundle`)
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

/** The text of LICENSES.txt: the licences of packages, and the legal comments that esbuild kept in files of their own. */
export function notices(metafile, outputFiles) {
  const comments = outputFiles.flatMap(({ path, text }) =>
    path.endsWith('.LEGAL.txt') && text.trim() !== '' ? [text] : [],
  )
  return [...licences(metafile), ...comments].join(`\n${'-'.repeat(80)}\n\n`)
}
