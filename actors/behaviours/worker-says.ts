/** What the runs of one worker have to say in one turn, gathered by who is to hear it. */
import type { Result } from '../../protocols/bidding/schema.ts'
import type { AwardId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { renewal, type Holder, type Outcome, type RenewedLease } from '../../protocols/leasing/holder.ts'
import type { MessageOf } from '../../protocols/wire.ts'
import type { FinishedAward } from '../messages.ts'
import { actorNames, at } from '../names.ts'
import type { ActorContext } from '../runtime/actor.ts'
import { tell, type Effect } from '../runtime/effects.ts'
import { byAddress, parts } from './batches.ts'

export interface Said {
  /** Their managers see that they run. */
  started: { readonly holder: Holder; readonly isRunning: boolean }[]
  checkpoints: { readonly holder: Holder; readonly message: MessageOf<'checkpoint'> }[]
  outcomes: { readonly holder: Holder; readonly outcome: Outcome }[]
  handedBack: Holder[]
  finished: FinishedAward[]
  forgotten: AwardId[]
}

export function newSaid(): Said {
  return { started: [], checkpoints: [], outcomes: [], handedBack: [], finished: [], forgotten: [] }
}

/** Checkpoints go before what ends their run. */
export function flushSaid(state: { readonly said: Said; round: number }, context: ActorContext): Effect[] {
  const { said } = state
  const { started, checkpoints, outcomes, handedBack, finished, forgotten } = said
  if (started.length + checkpoints.length + outcomes.length + handedBack.length + finished.length + forgotten.length === 0) return []
  Object.assign(said, newSaid())
  const effects: Effect[] = checkpoints.map(({ holder, message }) => tell(holder.manager, message, holder.award.principal))
  const results: { readonly holder: Holder; readonly result: Result }[] = []
  for (const { holder, outcome } of outcomes) {
    if (outcome.kind === 'failure') effects.push(tell(holder.manager, outcome, holder.award.principal))
    else {
      const { kind: _, ...result } = outcome
      results.push({ holder, result })
    }
  }
  for (const { to, items } of byAddress(results, ({ holder }) => holder.manager)) {
    for (const part of parts(items, limits.awardsPerMessageMax)) effects.push(tell(to, { kind: 'inform', results: part.map(({ result }) => result) }, items[0]?.holder.award.principal))
  }
  effects.push(...renewals(state, started.filter(({ isRunning }) => isRunning).map(({ holder }) => holder), context))
  for (const holder of handedBack) effects.push(tell(holder.manager, { kind: 'hand-back', awardId: holder.award.awardId, reason: 'the node is stopping' }))
  const participant = at(context.self.peer, actorNames.participant)
  if (finished.length > 0) effects.push(tell(participant, { kind: 'awards-finished', awards: finished }))
  if (forgotten.length > 0) effects.push(tell(participant, { kind: 'awards-forgotten', awardIds: forgotten }))
  return effects
}

/** The leases of those that have given a pulse, one message for each manager. */
export function renewals(state: { round: number }, holders: readonly Holder[], { nowMs }: ActorContext): Effect[] {
  if (holders.length === 0) return []
  const round = state.round++
  const renewing: { readonly holder: Holder; readonly lease: RenewedLease }[] = []
  for (const holder of holders) {
    const lease = renewal(holder, round, nowMs)
    if (lease !== undefined) renewing.push({ holder, lease })
  }
  return byAddress(renewing, ({ holder }) => holder.manager).flatMap(({ to, items }) => parts(items, leasesPerMessage).map((part) => tell(to, { kind: 'renew', round, leases: part.map(({ lease }) => lease) })))
}

const leasesPerMessage = 1_024
