// What the methods' words mean to a reader; docs/methods has more.

/** Methods that lay documents in random order: what they call a group says nothing of what its documents have in common. */
const random = new Set(['standard', 'long'])

const groups = new Map([
  ['quest', 'one keyword'],
  ['knn', 'one neighbourhood'],
  ['iclm', 'one path'],
  ['nextlong', 'one document among its neighbours'],
])

/** Whether a method's groups are in random order. */
export const isRandom = (method: string) => random.has(method)

/** What the documents of a group are to each other. */
export const groupName = (method: string) => groups.get(method) ?? (isRandom(method) ? 'in random order' : 'one group')

/** Whether documents of a group belong together though no reason is told for any: a path has no anchor. */
export const isPath = (method: string) => method === 'iclm'

/** A reason as it is said: a keyword, or the document that others are near. */
export const reasonName = (method: string, reason: string) => `${method === 'quest' ? 'keyword' : 'near'} ${reason}`

const rules = new Map([
  ['related', 'rests of related keywords'],
  ['next', 'rests in random order'],
  ['pad', 'a rest, padded'],
  ['last', 'the last one, padded'],
])

/** Why a sequence's documents stand together. */
export const ruleName = (method: string, rule: string) =>
  rule === 'group' ? groupName(method) : (rules.get(rule) ?? rule)
