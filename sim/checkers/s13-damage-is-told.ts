/**
 * S13 with one member: a node that starts on a disk which lost synced entries of a live mission says so, and writes nothing more
 * to that mission. While it runs it has no need to read, so what was lost under a running node counts from its next start.
 * A disk that was wiped or rolled back as a whole is consistent in itself: nobody but a peer could know better, and none does yet.
 */
import type { Checker, History, RecordOf, Violation } from '../history/history.ts'
import { auditLog, indexHistory, type HistoryIndex, type Life, type MissionLog } from '../history/index-history.ts'

const promise = 'S13'

/** A node that is well and has nothing else to do reads a log in far less. */
const toldWithinMs = 30_000

export const damageIsTold: Checker = {
  promise,
  says: 'a node that lost data says so and does not go on as if nothing had happened',
  check(history) {
    const index = indexHistory(history)
    const told = new Map<string, number[]>()
    for (const [at, record] of history.records.entries()) if (record.type === 'damage-told') told.set(keyOf(record), [...(told.get(keyOf(record)) ?? []), at])
    return [...index.logs.values()].flatMap((log) => unheededDamage(history, index, log, told))
  },
}

function keyOf({ node, missionId }: Pick<RecordOf<'damage-told'>, 'node' | 'missionId'>): string {
  return `${node} ${missionId}`
}

function unheededDamage(history: History, index: HistoryIndex, log: MissionLog, told: ReadonlyMap<string, readonly number[]>): Violation[] {
  const [damage] = log.damages
  if (damage === undefined || index.rollbacks.get(damage.node)?.some((at) => at >= damage.at) === true) return []
  const { missionId } = log
  const life = index.lives.get(damage.node)?.find((candidate) => candidate.startedAt > damage.at)
  if (life === undefined) return []
  const written = log.afterDamage.find(({ at, node }) => node === damage.node && at > life.startedAt)
  if (written !== undefined) return [{ promise, missionId, atMs: written.atMs, detail: `${damage.node} lost synced data of ${missionId} (${damage.how} at ${damage.atMs} ms), started again, and wrote entry ${written.entry.index} (${written.entry.event.type}) to it` }]
  if (log.damages.some(({ how }) => how === 'disk-wiped') || hasEnded(log, life) || isUnjudged(history, index, life)) return []
  const said = (told.get(keyOf({ node: damage.node, missionId })) ?? []).some((at) => at > damage.at)
  return said ? [] : [{ promise, missionId, atMs: damage.atMs, detail: `${damage.node} lost synced data of ${missionId} (${damage.how} at ${damage.atMs} ms), started again at ${life.started.atMs} ms, and says nothing of it` }]
}

/** A mission that was over when its node started is not read before somebody asks for it. */
function hasEnded(log: MissionLog, life: Life): boolean {
  const ledger = auditLog(log)
  if (ledger === undefined || ledger.state !== 'open') return true
  return log.afterDamage.some(({ at, entry: { event } }) => at < life.startedAt && (event.type === 'completed' || event.type === 'failed' || event.type === 'cancelled'))
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
