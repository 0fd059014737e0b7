/** The faults that find out for themselves who leads, in whole meshes. */
import { describe, expect, it } from 'vitest'
import type { History, RecordOf } from '../../../sim/history/history.ts'
import { hasLiveMajority, indexHistory } from '../../../sim/history/index-history.ts'
import { Scenario } from '../../../sim/scenario/schema.ts'
import { runSimulation } from '../../../sim/simulator.ts'

const meshOf = (faults: readonly Record<string, unknown>[]) => Scenario.parse({
  name: 'leaders-struck', durationMs: 12_000, healWithinMs: 90_000, nodes: [{ group: 'n', count: 6 }], skills: [{ capability: 'job.run', workMs: 1_500 }],
  workload: [{ kind: 'count', missions: 3, untilMs: 3_000, mission: { shape: 'chain', capability: 'job.run', leaves: 6 } }],
  replication: { registrarShards: 2, groupPulseMs: 300, electionMsMin: 1_000, electionMsMax: 2_000 }, faults,
})

function faultsIn({ records }: History, kind: string): { readonly at: number; readonly record: RecordOf<'fault'> }[] {
  return records.flatMap((record, at) => (record.type === 'fault' && record.kind === kind ? [{ at, record }] : []))
}

/** The missions that a node leads the logs of at that place of the history. */
function ledBy(history: History, node: string, at: number): string[] {
  return [...indexHistory(history).logs.values()].filter(({ committed }) => {
    const before = committed.filter((entry) => entry.at < at)
    const isOpen = !before.some(({ entry: { event } }) => ['completed', 'failed', 'cancelled'].includes(event.type))
    return isOpen && before.findLast(({ entry: { event } }) => event.type === 'submitted' || event.type === 'took-over')?.node === node
  }).map(({ missionId }) => missionId)
}

describe('owner-killed-for-good', () => {
  it('takes owners away for ever, never more than every log can do without, and their missions go on', async () => {
    for (const seed of [1, 2]) {
      const { history, report } = await runSimulation({ scenario: meshOf([{ kind: 'owner-killed-for-good', atMs: [4_000, 5_000, 6_000, 7_000, 8_000, 9_000] }]), seed })
      const struck = faultsIn(history, 'owner-killed-for-good')
      const index = indexHistory(history)
      expect(struck.length).toBeGreaterThan(0)
      for (const { at, record: { atMs, nodes: [node = ''] } } of struck) {
        expect([seed, ledBy(history, node, at).length > 0]).toEqual([seed, true])
        expect(index.lives.get(node)?.map(({ stopped }) => stopped?.atMs)).toEqual([atMs])
      }
      expect([...index.groups.values()].filter((log) => !hasLiveMajority(index, log)).map(({ group }) => group)).toEqual([])
      expect([report.violations, report.missions.completed]).toEqual([[], 3])
    }
  }, 60_000)
})

describe('leader-isolated', () => {
  it('cuts a leader off until others have had the time to elect another, which is then followed', async () => {
    let deposed = 0
    for (const seed of [1, 2, 3]) {
      const { history, report } = await runSimulation({ scenario: meshOf([{ kind: 'leader-isolated', atMs: 4_000 }]), seed })
      const [struck] = faultsIn(history, 'leader-isolated')
      expect(struck?.record.lastsMs).toBeGreaterThan(2_000)
      const { at, record: { atMs, lastsMs, nodes: [node = ''] } } = struck!
      const led = ledBy(history, node, at)
      expect([seed, led.length > 0]).toEqual([seed, true])
      const others = history.records.filter((record) => record.type === 'leads' && led.includes(record.group) && record.node !== node && record.atMs > atMs && record.atMs < atMs + lastsMs)
      deposed += Math.min(1, others.length)
      expect([report.violations, report.missions.completed]).toEqual([[], 3])
    }
    expect(deposed).toBeGreaterThan(0)
  }, 60_000)
})
