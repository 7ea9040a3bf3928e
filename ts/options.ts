// From what a user gives to resolved options, or an error that names every option that is wrong.
import * as z from 'zod'
import { LongweaveError } from './errors.ts'
import { isTree, merge } from './merge.ts'
import type { Tree } from './merge.ts'
import { nearest } from './nearest.ts'
import { corpusPresets, optionsJsonSchema, optionsSchema, presets } from './schema.ts'
import type { Options, Preset, ResolvedOptions } from './schema.ts'

/** Names of the options of a schema at a path; none where there are no further ones. */
function namesAt(root: Tree, path: PropertyKey[]): string[] {
  const below = (schema: Tree): Tree[] =>
    ((schema['anyOf'] ?? schema['oneOf']) as Tree[] | undefined)?.flatMap(below) ?? [schema]
  let forms: Tree[] = below(root)
  for (const key of path)
    forms = forms.flatMap((form) => below(((form['properties'] as Tree | undefined)?.[String(key)] ?? {}) as Tree))
  return [...new Set(forms.flatMap((form) => Object.keys((form['properties'] ?? {}) as Tree)))]
}

function explain(issue: z.core.$ZodIssue, root: () => Tree): { option: string; message: string } {
  const option = issue.path.join('.')
  if (issue.code === 'invalid_union') {
    // Of the forms that an option can have, the last is the full one.
    const inner = issue.errors.at(-1)?.[0]
    if (inner !== undefined) return explain({ ...inner, path: [...issue.path, ...inner.path] }, root)
  }
  if (issue.code === 'unrecognized_keys') {
    const where = option === '' ? 'the options' : `\`${option}\``
    const known = namesAt(root(), issue.path)
    const names = issue.keys.map((key) => {
      const meant = nearest(key, known).map((name) => `\`${name}\``)
      return `\`${key}\`${meant.length > 0 ? ` (did you mean ${meant.join(' or ')}?)` : ''}`
    })
    return {
      option: [option, issue.keys[0]].filter(Boolean).join('.'),
      message: `${where} have no ${names.join(', ')}`,
    }
  }
  const found = 'input' in issue && issue.input !== undefined ? `, but is ${JSON.stringify(issue.input)}` : ''
  return { option, message: `\`${option}\`: ${issue.message}${found}` }
}

function parsed<T extends z.ZodType>(schema: T, options: unknown, root: () => Tree): z.output<T> {
  const result = schema.safeParse(options, { reportInput: true })
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => explain(issue, root))
  const message = problems.map((problem) => problem.message).join('; ')
  throw new LongweaveError('OPTIONS_INVALID', message, { option: problems[0]?.option ?? '', problems })
}

/**
 * Options of one of the small parts, defaults filled in.
 * @throws LongweaveError `OPTIONS_INVALID`, as `resolveOptions`
 */
export function fill<T extends z.ZodType>(schema: T, options: z.input<T>): z.output<T> {
  const clean = isTree(options)
    ? Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
    : options
  return parsed(schema, clean, () => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Tree)
}

/**
 * The lengths that share the documents, as the option `lengths` gives them.
 * @throws LongweaveError `OPTIONS_INVALID`
 */
export function lengthsOf(lengths: Options['lengths']): ResolvedOptions['lengths'] {
  return fill(optionsSchema.pick({ lengths: true }), lengths === undefined ? {} : { lengths }).lengths
}

/**
 * Fills in defaults and checks every option.
 * @throws LongweaveError `OPTIONS_INVALID`, whose message names each option that is wrong and whose details list them.
 *
 * @example
 * ```ts
 * import { resolveOptions } from 'longweave'
 *
 * const { method, seed } = resolveOptions({
 *   corpus: ['docs.jsonl'],
 *   tokenizer: 'tokenizer.json',
 *   length: 2048,
 *   output: { directory: 'out' },
 *   preset: 'paper',
 * })
 * console.log(method, seed)
 * ```
 */
export function resolveOptions(options: Options & { preset?: Preset | undefined }): ResolvedOptions {
  const { preset, ...given } = options
  const clean: Tree = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  if (preset !== undefined && !(preset in presets)) {
    throw new LongweaveError(
      'OPTIONS_INVALID',
      `\`preset\` must be one of ${Object.keys(presets).join(', ')}, but is ${JSON.stringify(preset)}`,
      { option: 'preset' },
    )
  }
  if (typeof clean['method'] === 'string') clean['method'] = { name: clean['method'] }
  if (isTree(clean['method']) && clean['method']['name'] === undefined)
    clean['method'] = { name: 'quest', ...clean['method'] }
  const base: Tree = preset === undefined ? {} : structuredClone(presets[preset])
  const method = clean['method']
  if (isTree(method) && isTree(base['method']) && method['name'] !== base['method']['name']) delete base['method']
  const corpusPreset = clean['corpusPreset']
  // An unknown name is refused with the other options.
  const fields: Tree =
    typeof corpusPreset === 'string' && corpusPreset in corpusPresets
      ? corpusPresets[corpusPreset as keyof typeof corpusPresets]
      : {}
  const resolved = parsed(optionsSchema, merge(merge(fields, base), clean), optionsJsonSchema)
  if (resolved.output.directory === null && resolved.output.format !== 'memory') {
    throw new LongweaveError('OPTIONS_INVALID', '`output.directory` must be given unless `output.format` is "memory"', {
      option: 'output.directory',
    })
  }
  return resolved
}
