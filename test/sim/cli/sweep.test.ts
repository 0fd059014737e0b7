import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { median } from '../../../scripts/sim/figures.ts'
import { testText } from '../../../scripts/sim/regression-test.ts'
import { loadScenario } from '../../../scripts/sim/scenario-file.ts'
import { shortestFailing } from '../../../scripts/sim/shrink.ts'
import { Scenario } from '../../../sim/scenario/schema.ts'
import { diedOnceVariable } from './fake-simulation.ts'
import { say, scenarios } from './sim-fixture.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'skein-sweep-'))
})
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true })
})

interface Swept {
  readonly seeds: number
  readonly missions: number
  readonly virtualMs: number
  readonly faults: Readonly<Record<string, number>>
  readonly neverInjected: readonly string[]
  readonly failures: readonly { readonly scenario: string; readonly seed: number; readonly promise: string; readonly detail: string; readonly untilMs: number; readonly replay: string; readonly regression?: string; readonly stack?: string }[]
}
const swept = (out: string): Swept => JSON.parse(out) as Swept

describe('sim sweep', () => {
  test('adds seeds up', async () => {
    const said = await say(['sweep', 'flock', 'traced', '--seeds', '1..3', '--jobs', '2'], { cwd })
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out).toMatch(/ {2}crash +\d+ {2}█/)
    // The scenario names its faults: that there were no others is no news.
    expect(said.out).not.toContain('Never injected')
    expect(said.out).toMatch(/6 runs, all promises kept; 210 s simulated in .*, 2,400 missions/)
  })

  test('makes a failing seed short, says how to replay it and keeps it as a test', async () => {
    const said = await say(['sweep', 'traced', '--seeds', '12..14', '--jobs', '2', '--json', '--regressions', 'kept'], { cwd })
    expect(said.code).toBe(1)
    const { failures, seeds } = swept(said.out)
    expect(seeds).toBe(3)
    expect(failures).toHaveLength(1)
    const [failure] = failures
    expect(failure).toMatchObject({ scenario: 'traced', seed: 13, promise: 'S7', replay: expect.stringMatching(/run traced --seed 13 --until 2\.5\d*$/) as string })
    expect(failure?.untilMs).toBeGreaterThan(2_500)
    expect(failure?.untilMs).toBeLessThan(2_530)
    expect(readFileSync(join(cwd, 'kept/traced-seed-13.test.ts'), 'utf8')).toContain(`runSimulation({ scenario, seed: 13, untilMs: ${failure?.untilMs}, traces: new Map([['three.csv', `)
    expect(existsSync(join(cwd, 'kept/traces/three.csv'))).toBe(true)
    // What it prints does what it says.
    const until = /--until (\S+)/.exec(failure?.replay ?? '')?.[1] ?? ''
    expect((await say(['run', 'traced', '--seed', '13', '--until', until, '--json'])).code).toBe(1)
  })

  test('counts a run that throws, a process that dies and a run that never ends as failing seeds', async () => {
    const said = await say(['sweep', 'flock', '--seeds', '66,77,88,1', '--jobs', '2', '--seed-timeout', '2', '--json', '--no-regressions'], { cwd })
    expect(said.code).toBe(1)
    const { failures, seeds } = swept(said.out)
    expect(seeds).toBe(4)
    const told = (seed: number): Swept['failures'][number] | undefined => failures.find((failure) => failure.seed === seed)
    expect(told(66)).toMatchObject({ promise: 'crash', detail: 'invariant broken: a goose flew backwards', stack: expect.stringContaining('fake-simulation.ts') as string })
    expect(told(77)?.detail).toContain('exit code 9')
    expect(told(88)?.detail).toContain('took longer than 2 s')
    expect(readdirSync(cwd)).toEqual([])
  })

  test('writes no test for a run that does not fail again', async () => {
    process.env[diedOnceVariable] = join(cwd, 'died')
    try {
      const said = await say(['sweep', 'flock', '--seeds', '99', '--jobs', '1', '--regressions', 'kept'], { cwd })
      expect(said.code).toBe(1)
      expect(said.out).toContain('the same run, repeated, came to its end')
      expect(said.out).not.toContain('shortest failing prefix')
      expect(readdirSync(cwd)).toEqual(['died'])
    } finally {
      delete process.env[diedOnceVariable]
    }
  })

  test('refuses a time for one seed that no timer can be set to', async () => {
    expect(await say(['sweep', 'flock', '--seeds', '1', '--seed-timeout', '99999999'], { cwd })).toMatchObject({ code: 2, err: expect.stringContaining('give at most 2147483') as string })
  })

  test('stops after enough failures, and tells that it did', async () => {
    const said = await say(['sweep', 'flock', '--seeds', '13,113,213,313', '--jobs', '1', '--failures-max', '2', '--no-regressions'], { cwd })
    expect(said.code).toBe(1)
    expect(said.out).toContain('2 of 2 runs failed (of 4 asked for)')
  })
})

describe('sim compare', () => {
  test('gives medians and ratios of two scenarios', async () => {
    const said = await say(['compare', 'flock', 'traced', '--seeds', '1..2', '--jobs', '2'], { cwd })
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out).toMatch(/ +flock +traced +B\/A\n/)
    expect(said.out).toMatch(/leaves accepted +380 +180 +×0\.47/)
    expect(said.out).toContain('medians over 2 runs of A and 2 runs of B')
  })

  test('ends with 1 when a run broke a promise, and says how to see it', async () => {
    const [people, programs] = await Promise.all([say(['compare', 'flock', 'traced', '--seeds', '12..13', '--jobs', '1'], { cwd }), say(['compare', 'flock', 'traced', '--seeds', '13', '--jobs', '1', '--json'], { cwd })])
    expect(people.code).toBe(1)
    expect(people.out).toMatch(/^flock: one run broke a promise \(S\d+, seed 13\); see it: .*run flock --seed 13$/m)
    expect(programs.code).toBe(1)
    expect(JSON.parse(programs.out)).toMatchObject({ a: { failedRuns: 1 }, b: { failedRuns: 1 } })
  })

  test('takes reports that run wrote', async () => {
    for (const seed of ['1', '2']) await say(['run', 'flock', '--seed', seed], { cwd })
    const said = JSON.parse((await say(['compare', 'skein-sim/flock-1.json', 'skein-sim/flock-2.json', '--json'], { cwd })).out) as { a: unknown; figures: Record<string, { a: number; b: number; ratio: number }> }
    expect(said.a).toEqual({ name: 'flock, seed 1', runs: 1, failedRuns: 0 })
    expect(said.figures['completed']).toEqual({ a: 390, b: 390, ratio: 1 })
    writeFileSync(join(cwd, 'neither.json'), '{"name":"x"}')
    expect((await say(['compare', 'flock', 'neither.json'], { cwd })).err).toContain('durationMs')
  })
})

describe('the shortest failing prefix', () => {
  test('is found by halving, from a first guess', async () => {
    const asked: number[] = []
    const found = await shortestFailing({ untilMs: 60_000, seenAtMs: 20_000, fails: (at) => { asked.push(at); return Promise.resolve(at >= 12_345) } })
    expect(asked[0]).toBe(20_001)
    expect(found.untilMs).toBeGreaterThanOrEqual(12_345)
    expect(found.untilMs).toBeLessThan(12_345 * 1.01)
    expect(found.runs).toBe(asked.length)
  })

  test('is the whole run when nothing shorter fails, and was always seen to fail', async () => {
    expect(await shortestFailing({ untilMs: 1_000, seenAtMs: 5_000, fails: () => Promise.resolve(false) })).toMatchObject({ untilMs: 1_000 })
    // Fails at odd lengths only.
    const { untilMs } = await shortestFailing({ untilMs: 4_097, seenAtMs: 0, fails: (at) => Promise.resolve(at % 2 === 1) })
    expect(untilMs % 2).toBe(1)
  })
})

test('a regression test carries its scenario, whatever is written in it', () => {
  const loaded = loadScenario('flock', '/', scenarios)
  const scenario = Scenario.parse({ ...loaded.scenario, about: 'back\\slash `tick` ${not} \'quoted\' */' })
  const text = testText({ loaded: { ...loaded, scenario }, seed: 13, untilMs: 2_501, violation: { promise: 'S7', detail: 'ends the comment */ early', atMs: 1 } }, '../../..', [])
  const [, template = ''] = /parse\((`[\s\S]*`)\)\)/.exec(text) ?? []
  // The literal is read as the test file will read it.
  expect(parse((new Function(`return ${template}`) as () => string)())).toEqual(scenario)
  expect(text).toContain('import { runSimulation } from \'../../../sim/simulator.ts\'')
  expect(text.split('*/')).toHaveLength(3)
})

test('a median of an even number is the mean of the two in the middle', () => {
  expect([median([]), median([3]), median([4, 1]), median([9, 1, 2])]).toEqual([undefined, 3, 2.5, 2])
})
