/** Writes entries one by one until it is killed, and says after each that it is on disk. */
import { openLevelLogStore } from '../../../node/storage/log-store-level-adapter.ts'
import type { Incarnation, MissionId, Principal } from '../../../protocols/kernel/ids.ts'
import { extend, logOrigin, positionOf } from '../../../protocols/replicated-log/chain.ts'

const group = 'm-aaaaaaaa-aaaaaaaaaaaa' as MissionId
const epoch = { lineage: 1, term: 1 }
const store = await openLevelLogStore(process.argv[2]!, { reserveBytes: 4_096 })
process.on('disconnect', () => process.exit(1))
for (let last = logOrigin; ; ) {
  const [entry] = extend(last, epoch, [{ type: 'cancel-requested', atWallMs: last.index, by: 'local' as Principal, reason: 'one more' }])
  last = positionOf(entry!)
  await store.write({ writes: [{ head: { group, incarnation: 'life01' as Incarnation, epoch, last, commit: last.index }, entries: [entry!] }] })
  process.send?.(last.index)
}
