import { defineConfig } from 'vitest/config'

/** Tests that start processes, listen on ports or build packages: few at a time, and patient. */
const processTests = ['test/mesh/**/*.test.ts', 'test/node/cli/**/*.test.ts', 'test/node/libp2p/**/*.test.ts', 'test/build/**/*.test.ts', 'test/bin/**/*.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    reporters: ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          pool: 'forks',
          include: ['test/**/*.test.ts'],
          exclude: processTests,
          testTimeout: 30_000,
          hookTimeout: 30_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'processes',
          pool: 'forks',
          include: processTests,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
