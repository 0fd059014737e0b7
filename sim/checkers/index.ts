/**
 * The promises of the design, each a pure function over a history. S15 (secrets stay home) speaks of a broker of secrets: it
 * comes with that.
 */
import type { Checker, History, Violation } from '../history/history.ts'
import { actorsDoNotFail } from './actors-do-not-fail.ts'
import { takeoverInTime } from './l01-takeover-in-time.ts'
import { everyTaskEnds } from './l02-every-task-ends.ts'
import { replicasConverge } from './l03-replicas-converge.ts'
import { poisonEndsDead } from './l04-poison-ends-dead.ts'
import { queuesBoundedNobodyShutOut } from './l05-queues-bounded-nobody-shut-out.ts'
import { acknowledgedMissionsStay } from './s01-acknowledged-missions-stay.ts'
import { oneKeyOneMission } from './s02-one-key-one-mission.ts'
import { oneOwnerPerEpoch } from './s03-one-owner-per-epoch.ts'
import { promisesSurviveRestart } from './s04-promises-survive-restart.ts'
import { nothingUnderAFencedEpoch } from './s05-nothing-under-a-fenced-epoch.ts'
import { logsArePrefixes } from './s06-logs-are-prefixes.ts'
import { oneAcceptedResult } from './s07-one-accepted-result.ts'
import { acceptedUnderItsAward } from './s08-accepted-under-its-award.ts'
import { oneLiveAward } from './s09-one-live-award.ts'
import { awardedToWhoBid } from './s10-awarded-to-who-bid.ts'
import { synthesisCitesItsChildren } from './s11-synthesis-cites-its-children.ts'
import { equivocationIsTold } from './s12-equivocation-is-told.ts'
import { damageIsTold } from './s13-damage-is-told.ts'
import { runsTraceToAwards } from './s14-runs-trace-to-awards.ts'
import { spendWithinBudget } from './s16-spend-within-budget.ts'

export const checkers: readonly Checker[] = [
  acknowledgedMissionsStay, oneKeyOneMission, oneOwnerPerEpoch, promisesSurviveRestart, nothingUnderAFencedEpoch, logsArePrefixes, oneAcceptedResult, acceptedUnderItsAward, oneLiveAward,
  awardedToWhoBid, synthesisCitesItsChildren, equivocationIsTold, damageIsTold, runsTraceToAwards, spendWithinBudget,
  takeoverInTime, everyTaskEnds, replicasConverge, poisonEndsDead, queuesBoundedNobodyShutOut, actorsDoNotFail,
]

export interface Verdict {
  readonly promises: readonly { readonly promise: string; readonly says: string; readonly violations: number }[]
  /** In the order of the promises, each in the order of time. */
  readonly violations: readonly Violation[]
}

export function checkHistory(history: History): Verdict {
  const found = checkers.map((checker) => ({ checker, violations: checker.check(history).sort((left, right) => left.atMs - right.atMs) }))
  return {
    promises: found.map(({ checker: { promise, says }, violations }) => ({ promise, says, violations: violations.length })),
    violations: found.flatMap(({ violations }) => violations),
  }
}
