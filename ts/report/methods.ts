// Words of the methods for readers; docs/methods has more.

/** Methods with documents in random order: documents of their groups have nothing in common. */
const random = new Set(['standard', 'long', 'interleave'])

const groups = new Map([
  ['quest', 'one keyword'],
  ['knn', 'one neighbourhood'],
  ['iclm', 'one path'],
  ['nextlong', 'one document among its neighbours'],
  ['topics', 'one topic'],
])

/** Whether a method's groups are in random order. */
export const isRandom = (method: string) => random.has(method)

/** The relation between the documents of a group. */
export const groupName = (method: string) => groups.get(method) ?? (isRandom(method) ? 'in random order' : 'one group')

/** Whether documents of a group belong together without a reason for each: a path has no anchor. */
export const isPath = (method: string) => method === 'iclm'

const reasons = new Map([
  ['quest', 'keyword'],
  // A topic, or with `within: nextlong` the document that others are near.
  ['topics', 'for'],
])

/** A reason in words: a keyword, a topic, or the document that others are near. */
export const reasonName = (method: string, reason: string) => `${reasons.get(method) ?? 'near'} ${reason}`

const rules = new Map([
  ['related', 'leftovers of related keywords'],
  ['next', 'leftovers in random order'],
  ['pad', 'a leftover, padded'],
  ['last', 'the last sequence, padded'],
])

/** Why a sequence's documents are together. */
export const ruleName = (method: string, rule: string) =>
  rule === 'group' ? groupName(method) : (rules.get(rule) ?? rule)
