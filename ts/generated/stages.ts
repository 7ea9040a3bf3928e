// Generated from the Rust types by `node scripts/types.mjs`; do not edit.

/** Title and unit of progress of each stage, in the order in which stages run. */
export const stages = {
  spool: { title: 'Unpacking large files', unit: 'bytes' },
  scan: { title: 'Counting rows', unit: 'bytes' },
  ingest: { title: 'Tokenizing', unit: 'documents' },
  documents: { title: 'Numbering documents', unit: 'documents' },
  signatures: { title: 'Making signatures', unit: 'documents' },
  pairs: { title: 'Comparing documents', unit: 'tasks' },
  clusters: { title: 'Joining near-duplicates', unit: 'tasks' },
  predict: { title: 'Predicting queries', unit: 'documents' },
  extract: { title: 'Extracting keywords', unit: 'documents' },
  embed: { title: 'Embedding', unit: 'documents' },
  projection: { title: 'Fitting vectors', unit: 'tasks' },
  vectors: { title: 'Making vectors', unit: 'vectors' },
  index: { title: 'Building the index', unit: 'tasks' },
  centroids: { title: 'Choosing centroids', unit: 'tasks' },
  lists: { title: 'Dividing vectors into lists', unit: 'vectors' },
  neighbours: { title: 'Finding neighbours', unit: 'vectors' },
  topics: { title: 'Listing topics', unit: 'tasks' },
  postings: { title: "Counting topics' words", unit: 'documents' },
  matches: { title: 'Finding documents of topics', unit: 'documents' },
  plan: { title: 'Planning', unit: 'tasks' },
  report: { title: 'Measuring the plan', unit: 'tasks' },
  route: { title: 'Choosing how to pack', unit: 'tasks' },
  scatter: { title: 'Scattering tokens', unit: 'tokens' },
  pack: { title: 'Packing', unit: 'sequences' },
  seal: { title: 'Sealing', unit: 'bytes' },
} as const

/** A stage of a run. A run has those that its options need. */
export type Stage = keyof typeof stages
