/** S11: a composite task's result comes after all of its children have ended, and cites exactly the awards of those that were accepted; the others' ends are in the log. */
import type { Checker, Violation } from '../history/history.ts'
import { auditLog, indexHistory, type MissionLog } from '../history/index-history.ts'

const promise = 'S11'

export const synthesisCitesItsChildren: Checker = {
  promise,
  says: 'a synthesis cites exactly its accepted children; the others have a recorded end',
  check: (history) => [...indexHistory(history).logs.values()].flatMap(miscitations),
}

function miscitations(log: MissionLog): Violation[] {
  const violations: Violation[] = []
  auditLog(log, ({ atMs, entry: { index, event } }, ledger) => {
    if (event.type !== 'accepted') return
    const children = ledger.tasks.get(event.taskId)?.children ?? []
    const wrong = (what: string): void => void violations.push({ promise, missionId: log.missionId, atMs, detail: `entry ${index} of ${log.missionId} accepts ${event.taskId}, ${what}` })
    const open = children.find((child) => child.state === 'open')
    if (open !== undefined) return wrong(`and its child ${open.spec.taskId} has not ended`)
    const cites = new Set(event.cites)
    const accepted = new Set(children.flatMap((child) => (child.acceptedAward === undefined ? [] : [child.acceptedAward])))
    const left = [...accepted].find((award) => !cites.has(award))
    if (left !== undefined) return wrong(`which does not cite ${left}`)
    const foreign = event.cites.find((award) => !accepted.has(award))
    if (foreign !== undefined) return wrong(`which cites ${foreign}: no accepted child of it`)
    if (cites.size < event.cites.length) wrong('which cites an award twice')
  })
  return violations
}
