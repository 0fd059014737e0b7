/** A run is a function of scenario and seed: not of the process, of what ran before it, of memory or of the hour. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const execute = promisify(execFile)
const program = fileURLToPath(new URL('./print-hashes.ts', import.meta.url))
const runs = ['home-lab:1:6000', 'all-faults:1:8000', 'all-faults:2:8000', 'hostile:3:5000', 'flaky-wifi:4:5000', 'churn:5:4000', 'llm-serving:6:500']

interface Told {
  readonly hash: string
  readonly report: unknown
}

async function told(order: readonly string[], env: Readonly<Record<string, string>>): Promise<Map<string, Told>> {
  const { stdout } = await execute(process.execPath, [program, ...order], { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 })
  const lines = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as [run: string, hash: string, report: unknown])
  return new Map(lines.map(([run, hash, report]) => [run, { hash, report }]))
}

test('the same seed gives the same run in two processes, whatever ran before it and whatever the time zone', async () => {
  const [one, other] = await Promise.all([told(runs, { TZ: 'UTC', LANG: 'C' }), told(runs.toReversed(), { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8' })])
  for (const run of runs) {
    expect(one.get(run)?.hash, run).toMatch(/^[0-9a-f]{16}$/)
    expect(other.get(run), run).toEqual(one.get(run))
  }
  expect(new Set([...one.values()].map(({ hash }) => hash)).size).toBe(runs.length)
}, 300_000)
