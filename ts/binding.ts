// Loads the native addon, with an error that says what to do where it cannot be.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { LongweaveError } from './errors.ts'

// Required, not imported: an import that fails could not be explained, and a top-level await would shut out require().
function load(): typeof import('#binding') {
  try {
    return createRequire(import.meta.url)('#binding') as typeof import('#binding')
  } catch (cause) {
    // The loader tries several places; the reason that matters is at the end of the chain.
    let last: unknown = cause
    while (last instanceof Error && last.cause !== undefined) last = last.cause
    const reason = last instanceof Error ? last.message : String(last)
    const platform = `${process.platform}-${process.arch}`
    const message =
      `longweave's native addon does not load on ${platform}: ${reason}. In a clone, run \`npm run setup\` (Rust ≥ 1.92 is needed); ` +
      'as a package, this version was built for another platform.'
    throw new LongweaveError('ADDON_MISSING', message, { platform }, { cause })
  }
}

/** Tells the addon where the package onnxruntime-node, an optional peer, keeps its library; only this side can resolve packages. */
function offerOnnxRuntime(native: typeof import('#binding')): void {
  const names: Partial<Record<NodeJS.Platform, string>> = {
    linux: 'libonnxruntime.so.1',
    darwin: 'libonnxruntime.1.dylib',
    win32: 'onnxruntime.dll',
  }
  const name = names[process.platform]
  if (name === undefined) return
  let main: string
  try {
    main = createRequire(import.meta.url).resolve('onnxruntime-node')
  } catch {
    // Not installed: the other places are looked at, and the error names the package.
    return
  }
  native.offerOnnxRuntime(join(dirname(main), '..', 'bin', 'napi-v6', process.platform, process.arch, name))
}

/** The native addon. */
export const binding = load()
offerOnnxRuntime(binding)
