// The tiny models of the tests, whole or with something wrong; `tools/export/fixtures.py` makes them and what transformers answers.
import { cpSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './support.ts'

export const models = join(root, '__test__/fixtures/models')

/** A text with the ids of its tokens and those that transformers' greedy search gives, the end token with them. */
export interface GoldenCase {
  text: string
  input_ids: number[]
  ids: number[]
}

/** Golden answers of a model. */
export const golden = <T = GoldenCase>(name: string) =>
  (JSON.parse(readFileSync(join(models, name, 'golden.json'), 'utf8')) as { cases: T[] }).cases

/** A copy of a model, changed. */
export function changedModel(name: string, to: string, change: (directory: string) => void): string {
  cpSync(join(models, name), to, { recursive: true })
  change(to)
  return to
}

/** The same, in our own layout, whose file lengths are then recorded again: it looks intact from outside. */
export function changedInside(name: string, to: string, change: (directory: string) => void): string {
  return changedModel(name, to, (directory) => {
    change(directory)
    const path = join(directory, 'longweave-model.json')
    const model = JSON.parse(readFileSync(path, 'utf8')) as { files: Record<string, { bytes: number }> }
    for (const [file, entry] of Object.entries(model.files)) entry.bytes = statSync(join(directory, file)).size
    writeFileSync(path, JSON.stringify(model))
  })
}

/** Optimum's layout with one decoder for the first step and one for the others. */
export function splitDecoders(name: string, to: string): string {
  return changedModel(name, to, (directory) => {
    for (const file of readdirSync(directory)) if (file.includes('merged')) rmSync(join(directory, file))
  })
}
