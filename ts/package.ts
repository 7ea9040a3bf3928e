// Files of this package. Its modules are in ts/, in dist/ and, bundled, in dist/cli/, so that no path from a module is the same.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** The URL of a file or directory, by its path from the root of the package. */
export function packageUrl(path: string): URL {
  return new URL(path, pathToFileURL(createRequire(import.meta.url).resolve('longweave/package.json')))
}
