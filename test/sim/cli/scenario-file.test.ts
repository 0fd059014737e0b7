import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seedsOf } from '../../../scripts/sim/numbers-given.ts'
import { loadScenario, parseScenario, shippedNames } from '../../../scripts/sim/scenario-file.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-scenarios-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const good = `name: mine
durationMs: 1000
nodes:
  - group: home
skills:
  - capability: text.count
workload:
  - kind: poisson
    perSecond: 1
    mission: { capability: text.count }
`
const traced = good.replace(/workload:[\s\S]*/, 'workload: [{ kind: trace, file: requests.csv, capability: text.count }]\n')

test.each(shippedNames())('the shipped scenario %s is sound, and named after its file', (name) => {
  expect(loadScenario(name, '/').scenario.name).toBe(name)
})

describe('what is wrong with a scenario is told with its line and path', () => {
  test.each<[string, string, RegExp]>([
    ['YAML that is none', 'name: [x', /x\.yaml:\d+:\d+: /],
    ['a setting that is not there', good.replace('durationMs: 1000', 'durationMs: 1000\nspeed: 3'), /x\.yaml:3: speed: there is no such setting/],
    ['a value of the wrong type', good.replace('perSecond: 1', 'perSecond: often'), /x\.yaml:9: workload\[0\]\.perSecond: expected number, received string/],
    ['a number out of range', good.replace('- group: home', '- group: home\n    count: 0'), /x\.yaml:5: nodes\[0\]\.count: Too small/],
    ['a form that is none', good.replace('- group: home', '- group: home\n    speed: fast'), /x\.yaml:5: nodes\[0\]\.speed: is none of the forms/],
    ['a form that is nearly one', good.replace('- group: home', '- group: home\n    speed: { uniform: [1] }'), /nodes\[0\]\.speed\.uniform: Too small/],
    ['a kind that is none', good.replace('poisson', 'rain'), /workload\[0\]\.kind: .*poisson/],
    ['a skill that is not declared', good.replace('- group: home', '- group: home\n    skills: [text.sum]'), /'home' names the skill 'text\.sum'/],
    ['nothing', '', /the scenario: expected object/],
  ])('%s', (_what, text, message) => {
    expect(() => parseScenario(text, 'x.yaml')).toThrow(message)
  })
})

describe('a trace is found', () => {
  test.each(['traces/requests.csv', 'requests.csv'])('beside the scenario, at %s', (place) => {
    mkdirSync(join(folder, 'traces'))
    writeFileSync(join(folder, 'mine.yaml'), traced)
    writeFileSync(join(folder, place), 'TIMESTAMP,ContextTokens,GeneratedTokens\n')
    expect(loadScenario('./mine.yaml', folder).traces.get('requests.csv')).toMatch(/^TIMESTAMP/)
  })

  test('packed', () => {
    writeFileSync(join(folder, 'mine.yaml'), traced.replace('requests.csv', 'requests.csv.gz'))
    writeFileSync(join(folder, 'requests.csv.gz'), gzipSync('TIMESTAMP'))
    expect(loadScenario('./mine.yaml', folder).traces.get('requests.csv.gz')).toBe('TIMESTAMP')
    writeFileSync(join(folder, 'requests.csv.gz'), 'no gzip')
    expect(() => loadScenario('./mine.yaml', folder)).toThrow(/cannot be unpacked/)
  })

  test('or its places are named', () => {
    writeFileSync(join(folder, 'mine.yaml'), traced)
    expect(() => loadScenario('./mine.yaml', folder)).toThrow(/needs the trace "requests\.csv", which is not there/)
    mkdirSync(join(folder, 'requests.csv'))
    expect(() => loadScenario('./mine.yaml', folder)).toThrow(/requests\.csv cannot be read/)
  })
})

test('seeds are ranges, lists and single numbers', () => {
  expect(seedsOf('1..4')).toEqual([1, 2, 3, 4])
  expect(seedsOf('7')).toEqual([7])
  expect(seedsOf('9, 1..3,2')).toEqual([9, 1, 2, 3])
})
