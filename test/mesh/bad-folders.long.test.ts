/** A folder of very many files: a report on it takes its time, but not the machine's memory. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { RepoReport } from '../../node/skills/repo-report/report-model.ts'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { faultIn, within } from '../support/refusals.ts'
import { startSkein } from '../support/skein-command.ts'

let mesh: RealMesh
beforeAll(async () => {
  mesh = await startRealMesh([{ name: 'front' }, { name: 'other' }])
})
afterAll(() => mesh?.stop())

it('a folder of 20,000 files is reported on in bounded memory', async () => {
  const folder = join(mesh.folder, 'many')
  for (let group = 0; group < 200; group++) {
    mkdirSync(join(folder, `d${group}`), { recursive: true })
    for (let i = 0; i < 100; i++) writeFileSync(join(folder, `d${group}`, `f${i}.ts`), `export const v${group}_${i} = ${i}\n\n// note ${group}\n`)
  }
  const peakOf = (pid: number): number => {
    try {
      return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
    } catch {
      return 0
    }
  }
  const command = startSkein(['run', 'repo.report', '-i', `path=${folder}`, '--json'], { env: { ...mesh.env, SKEIN_URL: mesh.node('front').http }, cwd: mesh.folder })
  let commandPeakMiB = 0
  const watching = setInterval(() => (commandPeakMiB = Math.max(commandPeakMiB, peakOf(command.pid))), 50)
  try {
    const { code, out, err } = await within('the report on 20,000 files', command.ended, 240_000)
    expect({ code, fault: faultIn(err) }).toEqual({ code: 0, fault: undefined })
    const { result } = JSON.parse(out) as { result: { totals: RepoReport['totals']; missing: string[] } }
    expect(result.missing).toEqual([])
    expect(result.totals).toMatchObject({ files: 20_000, textFiles: 20_000, code: 20_000, comment: 20_000, blank: 20_000 })
  } finally {
    clearInterval(watching)
  }
  for (const node of mesh.nodes) expect(await node.client.health()).toMatchObject({ ok: true })
  // Only where the system tells. What these take of their own: 100 MiB to start, 1 GiB that a skill may have.
  if (process.platform !== 'linux') return
  expect(commandPeakMiB).toBeGreaterThan(0)
  expect(commandPeakMiB).toBeLessThan(600)
  for (const node of mesh.nodes) expect(peakOf(node.pid)).toBeLessThan(2_048)
}, 300_000)
