import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SimulationReport } from '../../../sim/report.ts'
import { say } from './sim-fixture.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'skein-sim-'))
})
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true })
})

const reported = (out: string): SimulationReport => JSON.parse(out) as SimulationReport

describe('sim run', () => {
  test('reports to people, and writes a page with its figures beside it', async () => {
    const said = await say(['run', 'flock', '--seed', '3'], { cwd })
    expect(said).toMatchObject({ code: 0, err: '' })
    for (const part of ['flock, seed 3: all 9 promises kept', 'missions', 'flow (submitted to ended)', 'Awards per node', 'recovery of a lost owner', 'foresight', 'faults injected', 'trace hash', 'page skein-sim/flock-3.html, figures skein-sim/flock-3.json']) expect(said.out).toContain(part)
    expect(readFileSync(join(cwd, 'skein-sim/flock-3.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/)
    expect(reported(readFileSync(join(cwd, 'skein-sim/flock-3.json'), 'utf8'))).toMatchObject({ scenario: 'flock', seed: 3 })
  })

  test('gives programs one object and no files that they did not ask for', async () => {
    const said = await say(['run', 'flock', '--json'], { cwd })
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out.trimEnd().split('\n')).toHaveLength(1)
    expect(reported(said.out)).toMatchObject({ scenario: 'flock', seed: 1, violations: [] })
    expect(existsSync(join(cwd, 'skein-sim'))).toBe(false)
    await say(['run', 'flock', '--json', '--html', 'out/x.html'], { cwd })
    expect(existsSync(join(cwd, 'out/x.html')) && existsSync(join(cwd, 'out/x.json'))).toBe(true)
  })

  test('ends with 1 and says where to look when a promise is broken', async () => {
    const said = await say(['run', 'flock', '--seed', '13', '--no-html'], { cwd })
    expect(said.code).toBe(1)
    expect(said.out).toContain('flock, seed 13: 1 of 9 promises broken')
    expect(said.out).toContain('S7 at 2.50 s: task <t-4> of mission m-9 has two accepted results')
    expect(said.out).toContain('replay flock --seed 13 --at 2.5')
    expect((await say(['run', 'flock', '--seed', '13', '--json'], { cwd })).code).toBe(1)
    expect((await say(['run', 'flock', '--seed', '13', '--json', '--no-checks'], { cwd })).code).toBe(0)
    expect(reported((await say(['run', 'flock', '--seed', '13', '--json', '--until', '2.345'], { cwd })).out).virtualMs).toBe(22_345)
  })

  test('redraws one block on a terminal and leaves nothing of it', async () => {
    let out = ''
    const stdout = { isTTY: true, columns: 100, rows: 30, write: (text: string) => { out += text } }
    expect((await say(['run', 'flock', '--no-html'], { cwd, stdout, env: { NO_COLOR: '1' } })).code).toBe(0)
    expect(out).toContain('missions  0 submitted, 0 ended   leaves 0')
    expect(out).toMatch(/virtual {3}0 ms of 35\.0 s {3}real/)
    expect(out).toContain('\u001b[4A\r\u001b[0J\nflock, seed 1')
  })

  test('takes the scenario from a file', async () => {
    writeFileSync(join(cwd, 'mine.json'), JSON.stringify({ name: 'mine', durationMs: 1_000, nodes: [{ group: 'n', count: 2 }], skills: [{ capability: 'text.count' }], workload: [{ kind: 'count', missions: 1, mission: { capability: 'text.count' } }] }))
    expect(reported((await say(['run', 'mine.json', '--json'], { cwd })).out)).toMatchObject({ scenario: 'mine', nodes: 2 })
  })

  test('says that a bug is a bug', async () => {
    const said = await say(['run', 'flock', '--seed', '66'], { cwd })
    expect(said.code).toBe(1)
    expect(said.err).toContain('invariant broken: a goose flew backwards')
    expect(said.err).toContain('fake-simulation.ts')
  })
})

describe('sim replay', () => {
  test('shows nodes, what runs and the last events', async () => {
    const said = await say(['replay', 'flock', '--seed', '2', '--at', '3'])
    expect(said).toMatchObject({ code: 0, err: '' })
    for (const part of ['flock, seed 2, stopped at 3.00 s, after 1,500 events', 'home-1  up', 'm-1 running (entry 7)', 't-1  text.count  for 120 ms', 'The last 3 events', 'home-1 → home-2  propose']) expect(said.out).toContain(part)
  })

  test('is JSON for programs, and says when the run ended before', async () => {
    const said = JSON.parse((await say(['replay', 'flock', '--event', '100', '--json'])).out) as Record<string, unknown>
    expect(said).toMatchObject({ scenario: 'flock', seed: 1, reached: true, event: 100, atMs: 200 })
    expect((await say(['replay', 'flock', '--at', '4000'])).out).toContain('ended before that')
  })
})

describe('sim list', () => {
  test('tells what each scenario is about', async () => {
    const { out } = await say(['list'])
    expect(out).toContain('flock  5 nodes, 20.0 s\n  Five uneven machines')
    expect(JSON.parse((await say(['list', '--json'])).out)).toMatchObject({ scenarios: [{ name: 'flock', nodes: 5 }, { name: 'traced' }] })
  })
})

describe('bad usage', () => {
  test.each<[string[], RegExp]>([
    [['run'], /missing required argument/],
    [['run', 'flok'], /there is no scenario "flok"[\s\S]*did you mean flock\?[\s\S]*skein sim list/],
    [['run', 'zzzzzzzz'], /there is no scenario "zzzzzzzz"[\s\S]*skein sim list/],
    [['run', './none.yaml'], /there is no file at .*none\.yaml/],
    [['run', 'flock', '--seed', 'x'], /--seed is "x"/],
    [['run', 'flock', '--seed', '-1'], /--seed/],
    [['run', 'flock', '--until', 'soon'], /--until is "soon"/],
    [['run', 'flock', '--html', '/dev/null/x.html'], /cannot be written/],
    [['replay', 'flock'], /where to stop is not said[\s\S]*--event NUMBER or --at SECONDS/],
    [['replay', 'flock', '--at', '1', '--event', '2'], /where to stop/],
    [['replay', 'flock', '--event', '1.5'], /--event is "1\.5"/],
    [['sweep', 'flock', '--seeds', '5..1'], /ends before it begins[\s\S]*1\.\.5/],
    [['sweep', 'flock', '--seeds', 'a..b'], /--seeds is "a\.\.b"/],
    [['sweep', 'flock', '--seeds', '1..99999999'], /more than 1000000/],
    [['sweep', 'flock', '--jobs', '0'], /--jobs is "0"/],
    [['compare', 'flock'], /missing required argument/],
    [['compare', 'flock', './none.json'], /there is no file at/],
    [['fly'], /unknown command 'fly'/],
  ])('skein sim %j', async (argv, message) => {
    const said = await say(argv, { cwd: tmpdir() })
    expect(said.err).toMatch(message)
    expect(said.err).toMatch(/\n {2}→ \S/)
    expect(said.code).toBe(2)
  })
})
