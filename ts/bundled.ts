// The query model that comes with longweave, by its name.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { packageUrl } from './package.ts'

/** Name of the query model that comes with longweave. */
export const bundledModel = 'doc2query-mini'

/** The directory that a model's name stands for: a directory of the caller's, or the model that comes with longweave. */
export function modelDirectory(model: string): string {
  if (model !== bundledModel || existsSync(model)) return model
  return fileURLToPath(packageUrl(`models/${bundledModel}/model`))
}
