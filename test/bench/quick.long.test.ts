import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { repositoryRoot } from '../../scripts/bench/table.ts'

const run = promisify(execFile)

interface Report { readonly figures: readonly { readonly median: number; readonly runs: number }[] }

describe('the benchmark', () => {
  it('measures a little of every part that needs nothing installed', async () => {
    const { stdout } = await run(process.execPath, [join(repositoryRoot, 'scripts', 'bench', 'all.ts'), '--quick', '--json'], { cwd: repositoryRoot, maxBuffer: 2 ** 24 })
    const reports = Object.entries(JSON.parse(stdout) as Record<string, Report>)
    expect(reports.map(([part]) => part)).toEqual(['tasks', 'actors', 'http', 'events', 'models', 'startup', 'replication', 'sim'])
    for (const [part, { figures }] of reports) {
      expect(figures.length, part).toBeGreaterThan(0)
      for (const figure of figures) expect(figure, part).toMatchObject({ median: expect.any(Number) as number, runs: expect.any(Number) as number })
    }
  })
})
