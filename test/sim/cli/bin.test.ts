/** `skein sim` as it is typed: the real bin, the real simulator. */
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { SimulationReport } from '../../../sim/report.ts'
import { say as sayNode } from '../../node/cli/cli-fixture.ts'
import type { Said } from './sim-fixture.ts'

const bin = fileURLToPath(new URL('../../../bin/skein.js', import.meta.url))

function skein(...argv: string[]): Promise<Said> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...argv], { cwd: tmpdir(), env: { PATH: process.env['PATH'] ?? '', HOME: tmpdir(), NO_COLOR: '1' } }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

describe('skein sim', () => {
  test('is listed among the commands, and has help of its own', async () => {
    const [all, own, run, bare] = await Promise.all([skein('--help'), skein('sim', '--help'), skein('help', 'sim', 'run'), skein('sim')])
    expect(all.out).toMatch(/ {2}sim run\|replay\|sweep\|compare/)
    for (const command of ['run', 'replay', 'sweep', 'compare', 'list']) expect(own.out).toMatch(new RegExp(`^ {2}${command}[ ]`, 'm'))
    expect(run.out).toContain('Usage: skein sim run')
    expect(bare).toMatchObject({ code: 0, out: own.out.slice(0, bare.out.length) })
  })

  test('runs a shipped scenario', async () => {
    const said = await skein('sim', 'run', 'home-lab', '--seed', '1', '--until', '2', '--json')
    expect(said).toMatchObject({ code: 0, err: '' })
    const report = JSON.parse(said.out) as SimulationReport
    expect(report).toMatchObject({ scenario: 'home-lab', seed: 1, violations: [] })
    expect(report.traceHash).toMatch(/^[0-9a-f]{16}$/)
    expect(report.promises.length).toBeGreaterThan(10)
  })

  test('ends with 2 on bad usage, for people and for programs', async () => {
    const [people, programs] = await Promise.all([skein('sim', 'rnu'), skein('sim', 'run', 'home-lap', '--json')])
    expect(people).toMatchObject({ code: 2, out: '' })
    expect(people.err).toContain('unknown command \'rnu\'\n  → did you mean run? see "skein sim --help"')
    expect(programs).toMatchObject({ code: 2, out: '' })
    expect(JSON.parse(programs.err)).toMatchObject({ error: { code: 'bad-request', next: expect.stringContaining('did you mean home-lab?') as string } })
  })

  test('is not loaded by a node: its program says where it is', async () => {
    const said = await sayNode(['sim', 'run', 'home-lab', '--seed', '1'])
    expect(said.code).toBe(2)
    expect(said.err).toContain('"skein sim run"')
  })
})
