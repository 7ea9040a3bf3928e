// longweave script slurm: scripts for sbatch, as a person would write them.
import { resolve } from 'node:path'
import { resolveOptions } from '../options.ts'
import type { Options } from '../schema.ts'
import { bytes } from '../bytes.ts'
import type { Command } from './command.ts'
import { readConfig } from './config.ts'
import { UsageError, parse, required, wholeNumber } from './parse.ts'
import { printable } from './text.ts'

/** The variables of the scripts, quoted for the shell. */
interface Words {
  config: string
  out: string
  nodes: number
  cpus: number
  memory: string
}

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** Stages as job arrays, each after the one before. */
const arrays = ({ config, out, nodes, cpus, memory }: Words) => `#!/bin/bash
# Runs a longweave run on Slurm: \`bash FILE\` submits an array of jobs for each stage.
# Run it again after a failure: it submits the stages that are not complete, and tasks that are done are skipped.
# All nodes need the corpus, the config file and the output directory under the same paths, and \`longweave\` in PATH.
set -euo pipefail

config=${config}
out=${out}
nodes=${nodes} # jobs side by side, one a node
cpus=${cpus} # of a node
memory=${memory} # most heap of a job; nodes need more (docs/limits.md)

# Slurm runs this script with the words \`stage NAME\` as a job of an array.
if [ "\${1:-}" = stage ]; then
  exec longweave task run "$out" "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --threads "$cpus" --memory "$memory"
fi

longweave prepare --config "$config" --out "$out" --quiet
mkdir -p "$out/.state/slurm"

after=
while read -r stage tasks finished _; do
  if [ "$tasks" = "$finished" ]; then continue; fi
  last=$((nodes - 1))
  if [ "$tasks" = 1 ]; then last=0; fi
  # A stage whose number of tasks is not known yet gets a job a node: one without tasks ends at once.
  job=$(sbatch --parsable --job-name="longweave-$stage" --array="0-$last" --nodes=1 --exclusive --cpus-per-task="$cpus" \\
    --requeue --kill-on-invalid-dep=yes \${after:+--dependency="afterok:$after"} \\
    --output="$out/.state/slurm/%x-%A_%a.log" "$0" stage "$stage")
  echo "$stage: job $job"
  after=\${job%%;*}
done < <(longweave task list "$out" | tail -n +2)
`

/** One job with a Ray cluster of its own. */
const ray = ({ config, out, nodes, cpus, memory }: Words) => `#!/bin/bash
#SBATCH --job-name=longweave
#SBATCH --nodes=${nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=${cpus}
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --output=%x-%j.log
# Runs a longweave run on Slurm with Ray: \`sbatch FILE\`. Submit it again after a failure: it resumes.
# All nodes need the corpus, the config file and the output directory under the same paths,
# and \`pip install 'longweave[ray]'\` in the Python environment that is active.
set -euo pipefail

config=${config}
out=${out}
memory=${memory} # most heap of a worker; nodes need more (docs/limits.md)

# A cluster without a token runs the programs of all who reach it.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \\n')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
address=$(hostname):$((20000 + SLURM_JOB_ID % 10000))

# The head has no CPUs: it only drives. Workers are used as they join, and end with the job.
ray start --head --port="\${address##*:}" --num-cpus=0 --include-dashboard=false --disable-usage-stats --temp-dir="/tmp/ray-$SLURM_JOB_ID"
srun ray start --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
python -m longweave.ray --address "$address" --config "$config" --out "$out" --memory "$memory" --nodes "$SLURM_JOB_NUM_NODES"
`

const forms = { arrays, ray }

export const scriptSlurmCommand: Command = {
  name: 'script slurm',
  group: 'tasks',
  summary: 'print a script that runs a run on Slurm',
  details: `The script is yours: read it, add your partition, account and time limit, and keep it. With \`--form arrays\` it submits a job array for each stage, with dependencies; nodes need Node and longweave. With \`--form ray\` it is one job with a Ray cluster of its own; nodes need Python and \`pip install 'longweave[ray]'\`. docs/cluster.md compares them.`,
  positionals: [],
  flags: {
    config: { value: 'FILE', description: 'JSON file of options, as of `longweave run --config`.' },
    out: {
      value: 'DIR',
      description: "Output directory, in place of the file's; all nodes must see it under this path.",
    },
    nodes: { value: 'N', description: 'Nodes to use.' },
    cpus: { value: 'N', description: 'CPUs of a node, and threads on it.', default: '32' },
    memory: { value: 'SIZE', description: 'Most heap of a process, like 8GiB.', default: '8GiB' },
    form: { value: 'FORM', description: 'How tasks reach the nodes.', choices: Object.keys(forms), default: 'arrays' },
  },
  options: null,
  json: null,
  examples: [
    'longweave script slurm --config run.json --out /shared/out --nodes 64 > run.sh && bash run.sh',
    'longweave script slurm --config run.json --out /shared/out --nodes 64 --form ray > run.sh && sbatch run.sh',
  ],
  async run(args) {
    const { values } = parse(args, this)
    const file = required(values, 'config', this.name)
    const nodes = wholeNumber(required(values, 'nodes', this.name), '--nodes')
    const cpus = wholeNumber(values['cpus'], '--cpus')
    if (nodes < 1 || cpus < 1) throw new UsageError('--nodes and --cpus must be at least 1', this.name)
    const memory = String(values['memory'])
    if (!Number.isSafeInteger(bytes(memory)))
      throw new UsageError(`--memory must be a number of bytes, like 1073741824 or 2GiB, but is "${memory}"`, this.name)
    const { engine: _, ...config } = readConfig(file) as Partial<Options> & { engine?: unknown }
    const directory = values['out'] ?? config.output?.directory
    // A mistake is better found now than in a queue.
    resolveOptions({ ...config, output: { ...config.output, directory } } as Options)
    const form = forms[values['form'] as keyof typeof forms]
    const [configPath, out] = [quoted(resolve(file)), quoted(resolve(String(directory)))]
    process.stdout.write(printable(form({ config: configPath, out, nodes, cpus, memory: quoted(memory) })))
  },
}
