// Words of the methods for readers; docs/methods has more.

/** Methods with documents in random order: documents of their groups have nothing in common. */
const random = new Set(['standard', 'long'])

const groups = new Map([
  ['quest', 'one keyword'],
  ['knn', 'one neighbourhood'],
  ['iclm', 'one path'],
  ['nextlong', 'one document among its neighbours'],
])

/** Whether a method's groups are in random order. */
export const isRandom = (method: string) => random.has(method)

/** The relation between the documents of a group. */
export const groupName = (method: string) => groups.get(method) ?? (isRandom(method) ? 'in random order' : 'one group')

/** Whether documents of a group belong together without a reason for each: a path has no anchor. */
export const isPath = (method: string) => method === 'iclm'

/** A reason in words: a keyword, or the document that others are near. */
export const reasonName = (method: string, reason: string) => `${method === 'quest' ? 'keyword' : 'near'} ${reason}`

const rules = new Map([
  ['related', 'leftovers of related keywords'],
  ['next', 'leftovers in random order'],
  ['pad', 'a leftover, padded'],
  ['last', 'the last sequence, padded'],
])

/** Why a sequence's documents are together. */
export const ruleName = (method: string, rule: string) =>
  rule === 'group' ? groupName(method) : (rules.get(rule) ?? rule)
