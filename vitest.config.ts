import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

/** Tests that start processes, listen on ports or build packages: two at a time, for they mostly wait, and patient. */
const processTests = ['test/mesh/**/*.test.ts', 'test/node/cli/**/*.test.ts', 'test/node/libp2p/**/*.test.ts', 'test/build/**/*.test.ts', 'test/bin/**/*.test.ts']

/** What takes minutes and is seldom broken: `npm run test:long`. */
const longTests = ['test/**/*.long.test.ts']

/** The hundreds of processes that tests start compile the same sources. */
const env = { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/skein-tests') }

export default defineConfig({
  test: {
    env,
    pool: 'forks',
    reporters: ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          pool: 'forks',
          include: ['test/**/*.test.ts'],
          exclude: [...processTests, ...longTests],
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
          exclude: longTests,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'long',
          pool: 'forks',
          include: longTests,
          testTimeout: 600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
