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
const withModel = good.replace('- capability: text.count', '- capability: text.count\n    model: { promptTokensPerSecond: 1000, outputTokensPerSecond: 50 }')
const header = 'TIMESTAMP,ContextTokens,GeneratedTokens\n'
const oneRequest = `${header}2024-01-01 00:00:00,10,20\n`
const traced = withModel.replace(/workload:[\s\S]*/, 'workload: [{ kind: trace, file: requests.csv, capability: text.count }]\n')

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

const mission = '{ capability: text.count }'
const twoSkills = good.replace('- capability: text.count', '- capability: text.count\n  - capability: text.sum').replace(/(mission: .*)/, 'mission: { capability: text.sum }')

describe('what cannot be run is refused with what to do next', () => {
  test.each<[string, string, RegExp]>([
    ['too many missions', good.replace(/kind: poisson\n +perSecond: 1/, 'kind: count\n    missions: 100001'), /x\.yaml:9: workload\[0\]\.missions: must be at most 100,000: lower it$/],
    ['too many a second', good.replace('perSecond: 1', 'perSecond: 10001'), /workload\[0\]\.perSecond: must be at most 10,000/],
    ['too many leaves', good.replace(mission, '{ capability: text.count, shape: fan, leaves: 5001 }'), /workload\[0\]\.mission\.leaves: a mission has at most 5000 leaves, not 5001: lower it$/],
    ['faults without a pause', `${good}faults: [{ kind: crash, everyMs: 9 }]\n`, /faults\[0\]\.everyMs: must be at least 10 ms/],
    ['any faults without a pause', `${good}anyFaultEveryMs: 1\n`, /anyFaultEveryMs: must be at least 10 ms/],
    ['too many nodes', good.replace('- group: home', '- { group: home, count: 20000 }\n  - group: last'), /x\.yaml:4: nodes: the groups have more than 20,000 nodes together: lower a `count`$/],
    ['a lease of a millisecond', `${good}tuning: { leaseMs: 999 }\n`, /tuning\.leaseMs: Too small.*1000/],
    ['a lease of an hour', `${good}tuning: { leaseMs: 3600000 }\n`, /tuning\.leaseMs: Too big.*600000/],
    ['no time to bid', `${good}tuning: { bidWindowMs: 0.5 }\n`, /tuning\.bidWindowMs: Too small/],
    ['no time to find a provider', `${good}tuning: { noProviderMs: 0 }\n`, /tuning\.noProviderMs: Too small/],
    ['two nodes of one name', good.replace('- group: home', '- { group: a, count: 2 }\n  - group: a-1'), /the groups 'a' and 'a-1' both have a node named 'a-1': rename one/],
    ['a capability twice', good.replace('- capability: text.count', '- capability: text.count\n  - capability: text.count'), /x\.yaml:7: skills\[1\]\.capability: the capability 'text\.count' is declared twice/],
    ['a submitter that is not there', good.replace('perSecond: 1', 'perSecond: 1\n    submitters: [home, hime]'), /workload\[0\]\.submitters\[1\]: there is no node or group 'hime'/],
    ['a fault on a node that is not there', `${good}faults: [{ kind: crash, atMs: 1, nodes: [home, hime] }]\n`, /x\.yaml:11: faults\[0\]: the fault 'crash' strikes 'hime', but the scenario has no such node/],
    ['a range upside down', good.replace('- group: home', '- group: home\n    speed: { uniform: [2, 1] }'), /x\.yaml:5: nodes\[0\]\.speed\.uniform: the low end comes first/],
    ['a percentile below the median', good.replace('- group: home', '- group: home\n    speed: { lognormal: { median: 2, p99: 1 } }'), /nodes\[0\]\.speed\.lognormal: `p99` is below `median`/],
    ['a range upside down where other forms are near', `${good}faults: [{ kind: crash, atMs: 1, lastsMs: { uniform: [2, 1] } }]\n`, /faults\[0\]\.lastsMs\.uniform: the low end comes first/],
    ['an end before the beginning', good.replace('perSecond: 1', 'perSecond: 1\n    fromMs: 500\n    untilMs: 500'), /x\.yaml:10: workload\[0\]\.fromMs: `fromMs` is not before `untilMs`/],
    ['nobody who keeps missions', good.replace('- group: home', '- group: home\n    duties: [worker, bridge]'), /nodes: no node has the duty 'replica'/],
    ['nobody who offers it', twoSkills.replace('- group: home', '- group: home\n    skills: [text.count]'), /mission\.capability: no node offers 'text\.sum'/],
    ['nobody who has a slot', good.replace('- group: home', '- group: home\n    slots: 0'), /no node offers 'text\.count'/],
    ['nobody who works', good.replace('- group: home', '- group: home\n    duties: [replica, bridge]'), /no node offers 'text\.count'/],
    ['a child that nobody offers', twoSkills.replace('- group: home', '- group: home\n    skills: [text.sum]').replace('- capability: text.sum', '- capability: text.sum\n    children: { capability: text.count, count: 2 }').replace('{ capability: text.sum }', '{ capability: text.sum, shape: composite }'), /no node offers 'text\.count'/],
    ['a capability that plans itself', good.replace('- capability: text.count', '- capability: text.count\n    children: { capability: text.count, count: 2 }'), /'text\.count' plans itself/],
  ])('%s', (_what, text, message) => {
    let thrown: unknown
    try {
      parseScenario(text, 'x.yaml')
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ fault: { code: 'bad-request' }, message: expect.stringMatching(message) as string })
    expect((thrown as Error).message).not.toContain('\n')
  })

  test('the report of a run is told apart', () => {
    expect(() => parseScenario('{ "scenario": "home-lab", "seed": 3, "traceHash": "0" }', 'x.json')).toThrow('x.json is the report of a run, not a scenario')
  })

  test('a shipped name with an ending is understood, unless there is such a file', () => {
    expect(() => loadScenario('home-lab.yaml', folder)).toThrow(expect.objectContaining({ fault: expect.objectContaining({ next: expect.stringContaining('did you mean home-lab,') as string }) as unknown }) as Error)
    writeFileSync(join(folder, 'home-lab.yaml'), good)
    expect(loadScenario('home-lab.yaml', folder).scenario.name).toBe('mine')
  })

  test.each([
    [`${header}2024-01-01 00:00:00,0,0\n2024-01-01 00:00:01,0,0\n`, /no request of the trace 'requests\.csv' has a token/],
    [`${header}2023-02-31 00:00:00,1,2\n`, /requests\.csv, line 2: there is no such time as '2023-02-31/],
  ])('a trace that asks for nothing, or at no time', (text, message) => {
    writeFileSync(join(folder, 'mine.yaml'), traced)
    writeFileSync(join(folder, 'requests.csv'), text)
    expect(() => loadScenario('./mine.yaml', folder)).toThrow(message)
  })
})

describe('a trace is found', () => {
  test.each(['traces/requests.csv', 'requests.csv'])('beside the scenario, at %s', (place) => {
    mkdirSync(join(folder, 'traces'))
    writeFileSync(join(folder, 'mine.yaml'), traced)
    writeFileSync(join(folder, place), oneRequest)
    expect(loadScenario('./mine.yaml', folder).traces.get('requests.csv')).toMatch(/^TIMESTAMP/)
  })

  test('packed', () => {
    writeFileSync(join(folder, 'mine.yaml'), traced.replace('requests.csv', 'requests.csv.gz'))
    writeFileSync(join(folder, 'requests.csv.gz'), gzipSync(oneRequest))
    expect(loadScenario('./mine.yaml', folder).traces.get('requests.csv.gz')).toBe(oneRequest)
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
