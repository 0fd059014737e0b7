/**
 * S13: a node that starts on a disk which lost a log's synced copy says so, and under the name that it had in that log (peer and
 * incarnation) it neither votes nor promises anything any more. While it runs it has no need to read, so what was lost under a
 * running node counts from its next start. A disk that is new, or was put back as a whole to an older state, is consistent in
 * itself: the first has another incarnation, of the second only a peer that remembers a later head can know.
 */
import type { GroupId, Incarnation } from '../../protocols/kernel/ids.ts'
import type { Checker, History, Violation } from '../history/history.ts'
import { indexHistory, type Damage, type HistoryIndex, type Life, type Replicated } from '../history/index-history.ts'
import { aboutGroup } from './s04-promises-survive-restart.ts'

const promise = 'S13'

/** A node that is well and has nothing else to do reads a log in far less. */
const toldWithinMs = 30_000

export const damageIsTold: Checker = {
  promise,
  says: 'a node that lost data says so, and does not vote as who it was',
  check(history) {
    const index = indexHistory(history)
    const told = new Map<string, number[]>()
    history.records.forEach((record, at) => {
      if (record.type !== 'damage-told' && record.type !== 'lost-everything-told') return
      const key = record.type === 'damage-told' ? `${record.node} ${record.group}` : record.node
      told.set(key, [...(told.get(key) ?? []), at])
    })
    return [...[...index.groups.values()].flatMap((log) => keptQuiet(history, index, log, told)), ...votesOfTheLost(history, index)]
  },
}

function keptQuiet(history: History, index: HistoryIndex, { group, damages }: Replicated, told: ReadonlyMap<string, readonly number[]>): Violation[] {
  return damages.flatMap((damage): Violation[] => {
    const { node, how, atMs, at } = damage
    if (how === 'disk-wiped' || how === 'disk-rolled-back') return []
    const life = index.lives.get(node)?.find((candidate) => candidate.startedAt > at)
    // What is not on the disk any more when it starts (it was wiped meanwhile, or handed over) is not missed.
    if (life === undefined || isUnjudged(history, index, life) || damages.some((other) => other.node === node && other.at > at && other.at < life.startedAt && other.how !== 'bit-rot')) return []
    const said = [...(told.get(`${node} ${group}`) ?? []), ...(told.get(node) ?? [])].some((one) => one > at)
    return said ? [] : [{ promise, ...aboutGroup(group), atMs, detail: `${node} lost synced data of ${group} (${how} at ${atMs} ms), started again at ${life.started.atMs} ms, and says nothing of it` }]
  })
}

/** No verdict on a node that had too little time in good health, nor on one that gave up because of what it found. */
function isUnjudged(history: History, index: HistoryIndex, life: Life): boolean {
  if (history.healedMs === undefined) return true
  const later = index.lives.get(life.node)?.filter((candidate) => candidate.startedAt >= life.startedAt) ?? []
  if (later.some((candidate) => candidate.stopped?.how === 'gave-up')) return true
  const last = later.at(-1)
  if (last === undefined || last.stopped !== undefined) return true
  return Math.max(last.started.atMs, history.healedMs) + toldWithinMs > history.endMs
}

function votesOfTheLost(history: History, index: HistoryIndex): Violation[] {
  const lost = lostNames(history, index)
  const seen = new Set<string>()
  return history.records.flatMap((record, at): Violation[] => {
    if (record.type !== 'vote-said' && record.type !== 'append-said') return []
    const damage = lost.get(nameOf(record.group, record.from, record.as))
    if (damage === undefined || seen.has(nameOf(record.group, record.from, record.as))) return []
    const life = index.lives.get(damage.node)?.find((candidate) => candidate.startedAt > damage.at)
    if (life === undefined || at < life.startedAt) return []
    seen.add(nameOf(record.group, record.from, record.as))
    const did = record.type === 'vote-said' ? 'votes' : `says that it has ${record.matched} entries on its disk`
    return [{ promise, ...aboutGroup(record.group), atMs: record.atMs, detail: `${damage.node} lost its copy of ${record.group} (${damage.how} at ${damage.atMs} ms), and ${did} as ${record.as}, who it was before that` }]
  })
}

function nameOf(group: GroupId, peer: string, as: Incarnation): string {
  return `${group} ${peer} ${as}`
}

/** The names under which a member had promised something before it lost its copy. */
function lostNames(history: History, index: HistoryIndex): Map<string, Damage> {
  const lost = new Map<string, Damage>()
  const damagesOf = new Map<string, Damage[]>()
  for (const { group, damages } of index.groups.values()) for (const damage of damages) if (damage.how !== 'disk-rolled-back') damagesOf.set(`${group} ${damage.peer}`, [...(damagesOf.get(`${group} ${damage.peer}`) ?? []), damage])
  history.records.forEach((record, at) => {
    if (record.type !== 'vote-said' && record.type !== 'append-said') return
    const damage = damagesOf.get(`${record.group} ${record.from}`)?.find((one) => one.at > at)
    const name = nameOf(record.group, record.from, record.as)
    if (damage !== undefined && !lost.has(name)) lost.set(name, damage)
  })
  return lost
}
