/** Writes entries one by one until it is killed, and says after each that it is on disk. */
import { openLevelLogStore } from '../../../node/storage/log-store-level-adapter.ts'
import type { MissionId, Principal } from '../../../protocols/kernel/ids.ts'

const missionId = 'm-aaaaaaaa-aaaaaaaaaaaa' as MissionId
const epoch = { lineage: 1, term: 1 }
const store = await openLevelLogStore(process.argv[2]!)
process.on('disconnect', () => process.exit(1))
for (let index = 1; ; index++) {
  const chain = index.toString(16).padStart(64, '0')
  await store.write({
    entries: [{ missionId, entry: { index, epoch, event: { type: 'cancel-requested', atWallMs: index, by: 'local' as Principal, reason: `entry ${index}` }, chain } }],
    heads: [{ missionId, index, chain, epoch, sealed: false }],
    claims: [],
  })
  process.send?.(index)
}
