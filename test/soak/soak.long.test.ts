import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { repositoryRoot } from '../../scripts/bench/table.ts'
import type { Sample } from '../../scripts/soak/samples.ts'
import type { Summary } from '../../scripts/soak/report.ts'
import { until } from '../support/until.ts'

let folder: string
/** What a failed test leaves behind goes with it. */
let running: (() => void)[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-soak-test-'))
})

afterEach(() => {
  for (const interrupt of running) interrupt()
  running = []
  rmSync(folder, { recursive: true, force: true })
})

interface Soak {
  readonly interrupt: () => void
  readonly ended: Promise<{ readonly code: number | null; readonly out: string }>
}

function soak(flags: readonly string[]): Soak {
  const child = spawn(process.execPath, [join(repositoryRoot, 'scripts', 'soak.ts'), ...flags], { cwd: repositoryRoot, stdio: ['ignore', 'pipe', 'ignore'] })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out }))
  const interrupt = (): void => void child.kill('SIGINT')
  running.push(interrupt)
  return { interrupt, ended }
}

/** A node's state at one moment, with what the whole load had done by then. */
type Line = Sample & { readonly tasksDone: number }

function linesIn(data: string): Line[] {
  return readFileSync(join(data, 'samples.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Line)
}

describe('a soak of a few seconds', () => {
  it('loses nothing, samples every node, and says that so short a time tells nothing of memory', async () => {
    const { code, out } = await soak(['--minutes', '0.2', '--rate', '20', '--tasks', '40', '--rest-seconds', '1', '--dir', join(folder, 'kept'), '--json']).ended
    expect(code).toBe(0)
    const summary = JSON.parse(out) as Summary
    expect(summary).toMatchObject({ interrupted: false, tasks: { submitted: 240, done: 240, lost: 0, underWay: 0, complaints: [] }, lookedAgain: { missions: 6, missing: 0 }, missions: { tasks: 40, completed: 6 } })
    expect(summary.missions.p50Ms).toBeGreaterThan(0)
    expect(summary.nodes.map(({ node }) => node)).toEqual(['submitter', 'worker-1', 'worker-2'])
    for (const { rssBytes, heapBytes, files, storeBytes } of summary.nodes) {
      expect(rssBytes.atEnd).toBeGreaterThan(heapBytes.atEnd)
      expect(heapBytes.atEnd).toBeGreaterThan(1e6)
      expect(files.atEnd).toBeGreaterThan(0)
      expect(storeBytes.atEnd).toBeGreaterThan(storeBytes.atStart)
      expect(rssBytes.verdict).toBe('too short to tell')
    }
    // The data stays, and each sample is a line.
    expect(readdirSync(join(folder, 'kept'))).toEqual(expect.arrayContaining(['submitter', 'worker-1', 'worker-2']))
    const samples = linesIn(join(folder, 'kept'))
    expect(samples.filter(({ node }) => node === 'submitter').length).toBe(summary.nodes[0]?.samples)
    expect(samples.every(({ loopDelayMaxMs, descriptors }) => loopDelayMaxMs > 0 && descriptors > 0)).toBe(true)
  })

  it('interrupted it prints what there is, and leaves no node behind', async () => {
    const { interrupt, ended } = soak(['--minutes', '30', '--rate', '20', '--tasks', '40', '--dir', join(folder, 'kept')])
    await until(() => linesIn(join(folder, 'kept')).some(({ tasksDone }) => tasksDone > 0), { what: 'a sample after the first mission', timeoutMs: 400_000 })
    interrupt()
    const { code, out } = await ended
    expect(code).toBe(130)
    expect(out).toContain('Interrupted after 0.')
    expect(out).toMatch(/\| submitter \|/)
    // What is killed is gone from /proc a moment later.
    await until(() => nodesOf(join(folder, 'kept')).length === 0 || undefined, { what: 'the nodes to be gone' })
  })
})

/** Processes whose command line names the folder. */
function nodesOf(data: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(data)
    } catch {
      return false
    }
  })
}
