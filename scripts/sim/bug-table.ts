/** One bug for every checker: what a tired programmer might have written, and the small scenario in which it shows. */

export interface Edit {
  /** From the clone's root. */
  readonly file: string
  /** Exactly once in it. */
  readonly find: string
  readonly replace: string
}

export interface SourceBug {
  readonly name: string
  /** What the programmer thought. */
  readonly why: string
  readonly edits: readonly Edit[]
}

export interface PlantedBug extends SourceBug {
  /** What it breaks. It may break others, too. */
  readonly promise: string
  /** Of `test/sim/planted/`. */
  readonly scenario: string
}

const participant = 'actors/behaviours/participant.ts'
const logKeeper = 'actors/behaviours/replication/log-keeper.ts'
const election = 'protocols/replicated-log/raft-election.ts'
const following = 'protocols/replicated-log/raft-following.ts'
const leading = 'protocols/replicated-log/raft-leading.ts'
const quorum = 'protocols/replicated-log/raft-quorum.ts'
const orchestrator = 'actors/behaviours/orchestrator.ts'
const calls = 'actors/behaviours/manager-calls.ts'
const preparing = 'actors/behaviours/manager-preparing.ts'
const children = 'actors/behaviours/manager-children.ts'
const outcomes = 'actors/behaviours/manager-outcomes.ts'
const planning = 'actors/behaviours/manager-planning.ts'
const rules = 'protocols/tasking/append-rules.ts'
const fold = 'protocols/tasking/mission-state.ts'

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'acknowledged-before-committed', promise: 'S1', scenario: 'power-cuts',
    why: 'the log-keeper will replicate it anyway: no need to let anybody wait',
    edits: [{ file: logKeeper, find: `return step(state, group, message.kind === 'append' ? { type: 'append', tag, entries: message.entries } : { type: 'barrier', tag }, context)`, replace: `return [tell(from, { kind: 'appended' as const, tag: message.tag }), ...step(state, group, message.kind === 'append' ? { type: 'append', tag, entries: message.entries } : { type: 'barrier', tag }, context)]` }],
  },
  {
    name: 'claim-acknowledged-before-committed', promise: 'S2', scenario: 'power-cuts',
    why: 'the claim will be committed by the time anybody asks for it again',
    edits: [{ file: logKeeper, find: `return step(state, group, message.kind === 'append' ? { type: 'append', tag, entries: message.entries } : { type: 'barrier', tag }, context)`, replace: `return [...(group.group.startsWith('registrar-') ? [tell(from, { kind: 'appended' as const, tag: message.tag })] : []), ...step(state, group, message.kind === 'append' ? { type: 'append', tag, entries: message.entries } : { type: 'barrier', tag }, context)]` }],
  },
  {
    name: 'elected-by-itself', promise: 'S3', scenario: 'elections',
    why: 'one vote is a majority of those who have answered so far',
    edits: [{ file: quorum, find: 'return yes * 2 > voters.length', replace: 'return yes > 0' }],
  },
  {
    name: 'told-before-committed', promise: 'S4', scenario: 'slow-disks',
    why: 'watchers want to see events as soon as they are folded',
    edits: [
      { file: orchestrator, find: 'while (watcher.sent < state.committed) {', replace: 'while (watcher.sent < state.head.index) {' },
      { file: orchestrator, find: 'Math.min(state.committed - watcher.sent, eventsPerFrame)', replace: 'Math.min(state.head.index - watcher.sent, eventsPerFrame)' },
    ],
  },
  {
    name: 'takeover-not-folded', promise: 'S5', scenario: 'crashes',
    why: 'the epoch is in the entry, the fold need not remember it',
    edits: [{ file: fold, find: '      fold.epoch = event.epoch\n', replace: '' }],
  },
  {
    name: 'late-result-taken', promise: 'S8', scenario: 'pauses',
    why: 'a result is a result, whoever was awarded since',
    edits: [
      { file: outcomes, find: 'newest?.award.awardId !== awardId || newest.award.worker !== from.peer || isTerminal(task.state) || isOvertaken(state, task.spec.taskId, awardId)', replace: 'newest === undefined || isTerminal(task.state)' },
      { file: rules, find: 'if (last?.award.awardId !== event.awardId) return', replace: 'if (last === undefined) return' },
    ],
  },
  {
    name: 'checks-skipped', promise: 'S8', scenario: 'crowd',
    why: 'the worker will have looked at its result before it sent it',
    edits: [{ file: outcomes, find: 'if (failed !== undefined) return', replace: 'if (failed !== undefined && task.attempts.length > 100) return' }],
  },
  {
    name: 'out-of-turn', promise: 'S9', scenario: 'calm',
    why: 'what a task needs will be there by the time it runs',
    edits: [{ file: preparing, find: 'return after.every((needed) => isTerminal(taskOf(state, needed).state))', replace: 'return after.length < 100 || isTerminal(taskState)' }],
  },
  {
    name: 'awarded-while-running', promise: 'S9', scenario: 'calm',
    why: 'two workers are faster than one',
    edits: [
      { file: rules, find: 'if (liveAttempt(task) !== undefined) return', replace: 'if (task.attempts.length > 3) return' },
      { file: children, find: `if (task.state !== 'pending') return`, replace: `if (task.state !== 'pending' && task.state !== 'awarded') return` },
      { file: preparing, find: `if (taskState !== 'pending' || state.preparing`, replace: `if ((taskState !== 'pending' && taskState !== 'awarded') || state.preparing` },
      { file: calls, find: `if (offer === undefined || task.state !== 'pending' || state.unsettledOf.has(taskId)) {`, replace: `if (offer === undefined) {` },
    ],
  },
  {
    name: 'bid-for-anything', promise: 'S10', scenario: 'crowd',
    why: 'whoever bids for one task will take another as well',
    edits: [{ file: 'protocols/bidding/initiator.ts', find: 'book.auctions.get(bid.callId)', replace: '[...book.auctions.values()].find((open) => open.decided === undefined)' }],
  },
  {
    name: 'first-child-cited', promise: 'S11', scenario: 'calm',
    why: 'one citation is enough to find the others',
    edits: [
      { file: planning, find: 'return childrenOf(state).flatMap((child) => (child.state', replace: 'return childrenOf(state).slice(0, 1).flatMap((child) => (child.state' },
      { file: rules, find: `miscited(fold, task, event.cites) ?? 'apply'`, replace: `(event.cites.length > 0 ? 'apply' : miscited(fold, task, event.cites) ?? 'apply')` },
    ],
  },
  {
    name: 'repetition-is-equivocation', promise: 'S12', scenario: 'calm',
    why: 'who says one thing twice has something to hide',
    edits: [{ file: 'protocols/capability/advert-cache.ts', find: `    if (signed.advert === before.signed.advert) return 'repeated'\n`, replace: '' }],
  },
  {
    name: 'damage-kept-quiet', promise: 'S13', scenario: 'bit-rot',
    why: 'others have it, nobody need know',
    edits: [{ file: logKeeper, find: `  return [found, fact('warn', 'group.wiped'`, replace: `  return [fact('warn', 'group.wiped'` }, { file: logKeeper, find: '    return [found, tell(', replace: '    return [tell(' }],
  },
  {
    name: 'kept-before-its-sync', promise: 'S4', scenario: 'slow-disks',
    why: 'what is in memory will soon be on the disk',
    edits: [{ file: following, find: 'ok, matched, round }, true)', replace: 'ok, matched, round }, false)' }],
  },
  {
    name: 'own-copy-counted-early', promise: 'S4', scenario: 'slow-disks',
    why: 'the leader has it, after all',
    edits: [{ file: leading, find: 'state.syncedIndex : 0', replace: 'state.last.index : 0' }],
  },
  {
    name: 'one-voter-is-enough', promise: 'S4', scenario: 'elections',
    why: 'somebody has it',
    edits: [{ file: quorum, find: 'return values[Math.floor(values.length / 2)] as number', replace: 'return values[0] as number' }],
  },
  {
    name: 'joint-majority-forgotten', promise: 'S4', scenario: 'elections',
    why: 'those who leave have nothing to say any more',
    edits: [{ file: quorum, find: 'return membership.outgoing === undefined ? incoming : Math.min(incoming, reached(membership.outgoing, valueOf))', replace: 'return membership.outgoing === undefined ? incoming : Math.max(incoming, reached(membership.outgoing, valueOf))' }],
  },
  {
    name: 'anybody-may-lead', promise: 'S6', scenario: 'elections',
    why: 'a new leader will fetch what it lacks',
    edits: [{ file: election, find: ' && upToDate(ask.last, state.last)', replace: ' && (upToDate(ask.last, state.last) || ask.last.index > 0)' }],
  },
  {
    name: 'leader-hardly-missed', promise: 'L1', scenario: 'owner-lost',
    why: 'it will come back',
    edits: [
      { file: election, find: 'if (mayCampaign(state)) state.electionAtMs = Math.min(state.electionAtMs,', replace: 'if (mayCampaign(state)) state.electionAtMs = Math.max(state.electionAtMs + 60_000,' },
    ],
  },
  {
    name: 'commit-never-told', promise: 'L3', scenario: 'calm',
    why: 'they will hear of it with the next entry',
    edits: [{ file: leading, find: 'if (follower.commitSent < state.commit) follower.owed = true', replace: 'if (follower.commitSent < 0) follower.owed = true' }],
  },
  {
    name: 'chain-not-verified', promise: 'S13', scenario: 'bit-rot',
    why: 'the store has read every entry, so they are all there',
    edits: [{ file: 'protocols/replicated-log/chain.ts', find: 'if (entry.index !== index || entry.chain !== chain) return damaged(group,', replace: 'if (entry.index > index + 1_000) return damaged(group,' }, { file: 'protocols/replicated-log/chain.ts', find: '  if (written?.chain !== head.chain) return damaged(', replace: '  if (written === undefined && index < 0) return damaged(' }, { file: 'protocols/replicated-log/chain.ts', find: '  if (index < head.index) return damaged(', replace: '  if (index < head.index - 1_000) return damaged(' }],
  },
  {
    name: 'started-before-committed', promise: 'S14', scenario: 'outside-effects',
    why: 'the commit will come, and the worker can begin meanwhile',
    edits: [
      { file: calls, find: '  state.committing.set(awardId,', replace: '  state.said.awards.push({ to: participant, award: full, isCalled: callId !== undefined })\n  state.committing.set(awardId,' },
    ],
  },
  {
    name: 'budget-not-asked', promise: 'S16', scenario: 'priced',
    why: 'the bidders know the budget, they will keep to it',
    edits: [
      // With a price that is the same for all, the owner's check is what keeps the budget.
      { file: 'protocols/bidding/participant.ts', find: 'priceUsd: ({ units }, capability) => priceUsdOf(capability, units),', replace: 'priceUsd: () => 0.4,' },
      { file: rules, find: "if ((manager === undefined || purse !== 'mission') && !isAffordable(fold, purse, setAsideUsd, alsoHeld?.get(purse))) {", replace: 'if (setAsideUsd > fold.limits.budgetUsd) {' },
    ],
  },
  {
    name: 'calls-for-free', promise: 'S16', scenario: 'spending',
    why: 'what an agent asks for is small change',
    edits: [
      { file: 'protocols/invoking/accounts.ts', find: '  if (priceUsd > leftUsd(account) + roundingUsd(account)) return false\n', replace: '' },
      // Whoever has awarded it would pay no more than it has set aside.
      { file: 'actors/behaviours/manager-outcomes.ts', find: "return spec.kind === 'leaf' && award !== undefined ? owedFor(award, costUsd) : costUsd", replace: 'return costUsd' },
      { file: 'actors/behaviours/invoker.ts', find: 'budgetUsd: Math.min(leftUsd(account), Number.MAX_SAFE_INTEGER), remainingMs', replace: 'budgetUsd: Number.MAX_SAFE_INTEGER, remainingMs' },
    ],
  },
  {
    name: 'lost-and-forgotten', promise: 'L2', scenario: 'crashes',
    why: 'a worker that was lost will come back some day',
    edits: [{ file: 'protocols/tasking/retry.ts', find: 'return losses < limits.lostWorkersMax ? { retry: true, inMs: 0 }', replace: 'return losses < limits.lostWorkersMax ? { retry: true, inMs: 86_400_000 }' }],
  },
  {
    name: 'lease-for-ever', promise: 'L2', scenario: 'silence',
    why: 'as long as the connection lives the worker does, too',
    edits: [{ file: 'protocols/leasing/lease.ts', find: 'lease.expiresAtMs <= nowMs).map', replace: 'lease.expiresAtMs <= -nowMs).map' }],
  },
  {
    name: 'never-gives-up', promise: 'L4', scenario: 'poison',
    why: 'one more try may help',
    edits: [{ file: 'protocols/tasking/retry.ts', find: 'if (failures >= policy.attemptsMax) return', replace: 'if (failures > policy.attemptsMax + 1) return' }],
  },
  {
    name: 'sulks-when-left-alone', promise: 'L5', scenario: 'isolation',
    why: 'a node that loses everybody must be about to stop',
    edits: [{ file: participant, find: `    case 'peer-down':\n      forgetInitiator`, replace: `    case 'peer-down':\n      if (!context.connected(message.peer)) state.stalled = Object.assign(state, { downs: ((state as unknown as { downs?: number }).downs ?? 0) + 1 }).downs > 2\n      if (state.stalled) state.leaving = true\n      forgetInitiator` }],
  },
  {
    name: 'surely-running', promise: 'actors', scenario: 'calm',
    why: 'an award that is forgotten must have been running',
    edits: [{ file: participant, find: 'const award = state.core.running.get(awardId)?.award\n  const holder =', replace: 'const award = state.core.running.get(awardId)!.award\n  const holder =' }],
  },
  {
    name: 'key-not-looked-up', promise: 'S2', scenario: 'repeated-keys',
    why: 'a mission’s id is its own, so what is claimed cannot be claimed already',
    edits: [{ file: 'protocols/membership/registrar.ts', find: 'state.claims.get(holder ?? claim.missionId)', replace: 'state.claims.get(claim.missionId)' }],
  },
  {
    name: 'last-result-wins', promise: 'S7', scenario: 'pauses',
    why: 'who has done the work again knows better than who did it first',
    edits: [
      { file: outcomes, find: 'newest?.award.awardId !== awardId || newest.award.worker !== from.peer || isTerminal(task.state) || isOvertaken(state, task.spec.taskId, awardId)', replace: 'newest === undefined || (isTerminal(task.state) && isOvertaken(state, task.spec.taskId, awardId))' },
      { file: rules, find: "if (task.state === 'accepted') return task.acceptedAward === event.awardId ? 'already' : fault('wrong-state', `${event.taskId} has an accepted result already`)\n      if (isTerminal(task.state)) return", replace: "if (task.acceptedAward === event.awardId) return 'already'\n      if (isTerminal(task.state) && task.state !== 'accepted') return" },
      { file: rules, find: 'if (last?.award.awardId !== event.awardId) return', replace: 'if (last === undefined) return' },
    ],
  },
  {
    name: 'blobs-kept-by-one', promise: 'S1', scenario: 'results-kept',
    why: 'the owner has them, and whoever needs them asks there',
    edits: [{ file: 'actors/behaviours/replication/blob-keeper.ts', find: 'if (!isHere || voters < Math.floor(ask.voters.length / 2) + 1) return []', replace: 'if (!isHere || voters < 1) return []' }, { file: 'actors/behaviours/replication/blob-keeper.ts', find: 'return [...askOthers(tag, securing, context), ...finishIfEnough(state, tag, securing)]', replace: 'return finishIfEnough(state, tag, securing)' }],
  },
]
