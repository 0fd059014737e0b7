/** The parts of the campaign that need no mesh: what is asked for, in which order things go wrong, what is told in the end. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseMissionRequest } from '../../node/http/mission-request.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { faultKinds } from '../../scripts/chaos/fault-kinds.ts'
import { deckOf, type FaultRecord } from '../../scripts/chaos/killer.ts'
import { nowMs } from '../../scripts/chaos/machine.ts'
import { describeReport, endedInException, reportOf, type UnwantedExit } from '../../scripts/chaos/report.ts'
import { type SupervisedNode, superviseNode } from '../../scripts/chaos/supervisor.ts'
import { drawMission } from '../../scripts/chaos/workload.ts'
import { until } from '../support/until.ts'

describe('the workload', () => {
  it('is legal, has six to ten leaves on two levels, and is the same for the same seed', () => {
    const draw = (): ReturnType<typeof drawMission>[] => {
      const random = seededRandom([7, 0])
      return Array.from({ length: 200 }, (_, at) => drawMission(random, `key-${at}`, '/ledger'))
    }
    const missions = draw()
    expect(draw()).toEqual(missions)
    for (const { request, leaves, key } of missions) {
      const { plan, name, acknowledgement } = parseMissionRequest(structuredClone(request))
      expect({ name, acknowledgement }).toEqual({ name: key, acknowledgement: 'quorum' })
      const labels = Object.entries(plan?.tasks ?? {}).flatMap(([task, { capability, input }]) => (capability === 'chaos.group' ? (input as { leaves: { label: string }[] }).leaves.map((leaf) => leaf.label) : [task]))
      expect(new Set(labels).size).toBe(leaves)
      expect(leaves).toBeGreaterThanOrEqual(6)
      expect(leaves).toBeLessThanOrEqual(10)
    }
  })
})

describe('the killer', () => {
  it('tries every kind before any kind again, in an order that follows from the seed', () => {
    const take = (seed: number): string[] => {
      const deck = deckOf(faultKinds, seededRandom([seed, 1]))
      return Array.from({ length: faultKinds.length * 3 }, () => deck.next().value as string)
    }
    const first = take(1)
    expect(take(1)).toEqual(first)
    expect(take(2)).not.toEqual(first)
    for (let round = 0; round < 3; round++) expect(first.slice(round * faultKinds.length, (round + 1) * faultKinds.length).sort()).toEqual([...faultKinds].sort())
  })
})

describe('the report', () => {
  const fault = (more: Partial<FaultRecord>): FaultRecord => ({ kind: 'kill-owner', about: 'node-a is killed', atMs: 1_000, inFlight: 12, recoveryMs: [100, 200, 900], stuck: [], absent: [], ...more })
  const report = (faults: FaultRecord[], violations: { mission: string; atMs: number; after?: boolean; detail: string }[] = [], exits: UnwantedExit[] = []): ReturnType<typeof reportOf> =>
    reportOf({ seed: 7, minutes: 1, left: [], faults, inFlightMin: 10, exits, verdict: { expectations: [{ name: 'missions lost', violations }], notes: { reads: 1 } } })

  it('is fine when nothing is held against the mesh', () => {
    const fine = report([fault({}), fault({ atMs: 2_000, inFlight: 10 })])
    expect(fine.ok).toBe(true)
    expect(fine.rows).toEqual([{ kind: 'kill-owner', injected: 2, inFlightMin: 10, stuck: 0, violations: { 'missions lost': 0 }, recoveryP50Ms: 200, recoveryP99Ms: 900 }])
    expect(describeReport(fine)).toMatch(/kill-owner +2 +10 .*0\.2 +0\.9[^]*seed 7: 2 faults, everything as promised/)
  })

  it('holds what was seen against the fault before it, and what was lost against the next', () => {
    const faults = [fault({}), fault({ kind: 'pause', atMs: 2_000 }), fault({ kind: 'restart-all', atMs: 3_000 })]
    const lost = report(faults, [{ mission: 'a', atMs: 1_500, after: true, detail: 'gone' }, { mission: 'b', atMs: 3_500, after: true, detail: 'gone' }, { mission: 'c', atMs: 1_500, detail: 'seen' }])
    expect(lost.ok).toBe(false)
    expect(lost.rows.map(({ kind, violations }) => [kind, violations['missions lost']])).toEqual([['kill-owner', 1], ['pause', 1], ['restart-all', 1]])
    expect(describeReport(lost)).toContain('missions lost: 3, none was expected')
  })

  it.each<[string, FaultRecord[]]>([
    ['a mission did not go on', [fault({ stuck: ['key-1'] })]],
    ['a node did not come back', [fault({ absent: ['node-a'] })]],
    ['too little was under way', [fault({ inFlight: 9 })]],
    ['nothing was tried', []],
  ])('is not fine when %s', (_title, faults) => {
    expect(report(faults).ok).toBe(false)
  })

  const exit = (more: Partial<UnwantedExit>): UnwantedExit => ({ node: 'node-a', atMs: 1_500, how: '1', hung: false, lastWords: '', ...more })

  it('lists a node that ended by itself and had said why, as on a full disk', () => {
    const gaveUp = report([fault({})], [], [exit({ lastWords: 'skein: the node gave up; its log above says why.\n' })])
    expect(gaveUp.ok).toBe(true)
    expect(describeReport(gaveUp)).toMatch(/ended by themselves: 1\n {2}node-a: 1\n/)
  })

  it('is not fine when a node ended in an exception', () => {
    const thrown = report([fault({})], [], [exit({ lastWords: "file:///x.ts:1\nthrow new RangeError('out of it')\n      ^\n\nRangeError: out of it\n    at file:///x.ts:1:7\n\nNode.js v24.11.0\n" })])
    expect(thrown.ok).toBe(false)
    expect(describeReport(thrown)).toContain('nodes that ended in an exception: 1, none was expected\n  node-a: RangeError: out of it\n')
  })

  it('is not fine when a node had to be killed after it had been asked to end', () => {
    const hung = report([fault({})], [], [exit({ how: 'SIGKILL', hung: true })])
    expect(hung.ok).toBe(false)
    expect(describeReport(hung)).toContain('nodes that did not end when they were asked to: 1, none was expected\n  node-a had to be killed\n')
  })
})

describe('the supervisor', () => {
  let folder: string
  let node: SupervisedNode
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'skein-supervisor-')) })
  afterEach(async () => {
    await node?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const supervise = (program: string): SupervisedNode => superviseNode({ name: 'node-a', cwd: folder, logFile: join(folder, 'log'), token: 'token', restartMs: 10, say: () => undefined, env: {}, command: (start) => [process.execPath, '--eval', program, String(start)] })
  const ready = `console.log(JSON.stringify({ event: 'ready', peerId: 'peer-' + process.argv[1], http: 'http://127.0.0.1:1' }));`

  it('starts again what ended by itself, and says so', async () => {
    node = supervise(`${ready} console.error('bye'); if (process.argv[1] !== '3') process.exit(4); setInterval(() => {}, 1000)`)
    node.start()
    await until(() => node.peerId === 'peer-3' && node.isReady, { what: 'the third start' })
    expect(node.exits.map(({ how, wanted, lastWords }) => ({ how, wanted, lastWords }))).toEqual([1, 2].map(() => ({ how: '4', wanted: false, lastWords: 'bye\n' })))
    expect(node.pids.size).toBe(3)
  })

  it('starts again what was killed, after what is to be done in between', async () => {
    node = supervise(`${ready} setInterval(() => {}, 1000)`)
    node.start()
    await node.ready(30_000)
    const { pid } = node
    let between = 0
    const killedMs = nowMs()
    await node.kill(50, () => { between += node.pid === undefined ? 1 : 100 })
    expect(node.isReady).toBe(false)
    await node.ready(30_000)
    expect(between).toBe(1)
    expect(nowMs() - killedMs).toBeGreaterThan(49)
    expect(node.pid).not.toBe(pid)
    expect(node.exits.map(({ how, wanted }) => ({ how, wanted }))).toEqual([{ how: 'SIGKILL', wanted: true }])
    expect([...node.peerIds]).toEqual(['peer-1', 'peer-2'])
  })

  it.each<[string, string, number, { how: string; wanted: boolean; hung: boolean }]>([
    ['ends', 'process.exit(0)', 60_000, { how: '0', wanted: true, hung: false }],
    ['fails to', 'process.exit(1)', 60_000, { how: '1', wanted: false, hung: false }],
    ['does not hear', '', 50, { how: 'SIGKILL', wanted: false, hung: true }],
  ])('asks a node to end that then %s, and starts it again', async (_title, onTerm, patienceMs, expected) => {
    node = supervise(`process.on('SIGTERM', () => { ${onTerm} }); ${ready} setInterval(() => {}, 1000)`)
    node.start()
    await node.ready(30_000)
    await node.end(10, patienceMs)
    expect(node.exits.map(({ how, wanted, hung }) => ({ how, wanted, hung }))).toEqual([expected])
    await node.ready(30_000)
    expect(node.peerId).toBe('peer-2')
  })

  it('sees an exception that nobody caught, also in a node that had been asked to end', async () => {
    node = supervise(`process.on('SIGTERM', () => { throw new RangeError('at the end') }); ${ready} setInterval(() => {}, 1000)`)
    node.start()
    await node.ready(30_000)
    await node.end(10, 60_000)
    expect(node.exits.map((exit) => ({ wanted: exit.wanted, exception: endedInException(exit) }))).toEqual([{ wanted: false, exception: true }])
  })

  it('leaves nothing behind', async () => {
    node = supervise(`${ready} console.error('words'); setInterval(() => {}, 1000)`)
    node.start()
    await node.ready(30_000)
    const pid = node.pid ?? -1
    await node.stop()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    expect(readFileSync(join(folder, 'log'), 'utf8')).toContain('words')
  })
})
