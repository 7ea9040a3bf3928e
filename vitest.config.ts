import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['__test__/**/*.test.ts'],
    // The addon is loaded into each process: forks keep tests apart.
    pool: 'forks',
    // Tests wait for child processes and for the disk more than they compute.
    maxWorkers: 4,
    // Tests bound work, never time: these end only what hangs.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 600_000, interval: 20 } },
  },
})
