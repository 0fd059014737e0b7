/** One bug for every checker: what a tired programmer might have written, and the small scenario in which it shows. */

export interface Edit {
  /** From the clone's root. */
  readonly file: string
  /** Exactly once in it. */
  readonly find: string
  readonly replace: string
}

export interface PlantedBug {
  readonly name: string
  /** What it breaks. It may break others, too. */
  readonly promise: string
  /** What the programmer thought. */
  readonly why: string
  readonly edits: readonly Edit[]
  /** Of `test/sim/planted/`. */
  readonly scenario: string
}

const logKeeper = 'actors/behaviours/log-keeper.ts'
const orchestrator = 'actors/behaviours/orchestrator.ts'
const orchestratorState = 'actors/behaviours/orchestrator-state.ts'
const calls = 'actors/behaviours/manager-calls.ts'
const preparing = 'actors/behaviours/manager-preparing.ts'
const outcomes = 'actors/behaviours/manager-outcomes.ts'
const planning = 'actors/behaviours/manager-planning.ts'
const participant = 'actors/behaviours/participant.ts'
const rules = 'protocols/tasking/append-rules.ts'
const fold = 'protocols/tasking/mission-state.ts'

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'acknowledged-before-synced', promise: 'S1', scenario: 'power-cuts',
    why: 'the log-keeper will write it anyway: no need to let anybody wait',
    edits: [{ file: logKeeper, find: 'return state.writing.length === 0 ? writeNext(state) : []', replace: 'return [tell(from, { kind: \'appended\', tag: message.tag }), ...(state.writing.length === 0 ? writeNext(state) : [])]' }],
  },
  {
    name: 'claim-not-stored', promise: 'S2', scenario: 'power-cuts',
    why: 'the desk keeps the claims in its memory, twice is once too many',
    edits: [{ file: orchestratorState, find: '...(claim === undefined ? {} : { claim })', replace: '' }],
  },
  {
    name: 'same-term-again', promise: 'S3', scenario: 'crashes',
    why: 'it is the same node, so it is the same owner',
    edits: [{ file: orchestrator, find: 'term: state.fold.epoch.term + 1 }', replace: 'term: state.fold.epoch.term }' }],
  },
  {
    name: 'told-before-synced', promise: 'S4', scenario: 'slow-disks',
    why: 'watchers want to see events as soon as they are folded',
    edits: [
      { file: orchestrator, find: 'for (let at = watcher.sent; at < state.committed; at = watcher.sent) {', replace: 'for (let at = watcher.sent; at < state.head.index; at = watcher.sent) {' },
      { file: orchestrator, find: 'Math.min(state.committed, at + 200)', replace: 'Math.min(state.head.index, at + 200)' },
    ],
  },
  {
    name: 'takeover-not-folded', promise: 'S5', scenario: 'crashes',
    why: 'the epoch is in the entry, the fold need not remember it',
    edits: [{ file: fold, find: '      fold.epoch = event.epoch\n', replace: '' }],
  },
  {
    name: 'accepted-again', promise: 'S7', scenario: 'slow-disks',
    why: 'the same result of the same award: accepting it again does no harm',
    edits: [
      { file: rules, find: `if (task.state === 'accepted') return task.acceptedAward === event.awardId ? 'already' :`, replace: `if (task.state === 'accepted') return task.acceptedAward === event.awardId ? 'apply' :` },
    ],
  },
  {
    name: 'late-result-taken', promise: 'S8', scenario: 'pauses',
    why: 'a result is a result, whoever was awarded since',
    edits: [
      { file: outcomes, find: 'newest?.award.awardId !== awardId || newest.award.worker !== from.peer || isTerminal(task.state) || overtaken', replace: 'newest === undefined || isTerminal(task.state)' },
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
    edits: [{ file: preparing, find: 'if (child.spec.after.every((needed) => isTerminal(taskOf(state, needed).state))) ready', replace: 'if (child.spec.after.length < 100 || isTerminal(child.state)) ready' }],
  },
  {
    name: 'awarded-while-running', promise: 'S9', scenario: 'calm',
    why: 'two workers are faster than one',
    edits: [
      { file: rules, find: 'if (liveAttempt(task) !== undefined) return', replace: 'if (task.attempts.length > 3) return' },
      { file: preparing, find: `if (child.state !== 'pending' || state.preparing`, replace: `if ((child.state !== 'pending' && child.state !== 'awarded') || state.preparing` },
      { file: calls, find: `if (offer === undefined || task.state !== 'pending' || state.callOf`, replace: `if (offer === undefined || state.callOf` },
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
    why: 'nobody can mend it anyway',
    edits: [{ file: orchestrator, find: `      fact('error', 'mission.damaged', { mission: init.missionId, detail: state.damaged.detail }), tell(`, replace: '      tell(' }],
  },
  {
    name: 'chain-not-verified', promise: 'S13', scenario: 'bit-rot',
    why: 'the store has read every entry, so they are all there',
    edits: [{ file: orchestrator, find: 'const damage = problem ?? (head === undefined ? undefined : verifyLog(state.read, head))', replace: 'const damage = problem ?? (head === undefined || state.read.length > 0 ? undefined : verifyLog(state.read, head))' }],
  },
  {
    name: 'started-before-committed', promise: 'S14', scenario: 'outside-effects',
    why: 'the commit will come, and the worker can begin meanwhile',
    edits: [
      { file: calls, find: `  return record(state, [{\n    type: 'awarded'`, replace: `  return [tell(output.participant, { kind: 'accept-proposal', award: full }, state.init.principal), ...record(state, [{\n    type: 'awarded'` },
      { file: calls, find: 'why: output.why.slice(0, 500) },\n  }], context)', replace: 'why: output.why.slice(0, 500) },\n  }], context)]' },
    ],
  },
  {
    name: 'budget-not-asked', promise: 'S16', scenario: 'priced',
    why: 'the bidders know the budget, they will keep to it',
    edits: [
      // Nodes ask no price in this release: with one, the owner's check is what keeps the budget.
      { file: participant, find: 'priceUsd: 0, inputBytesMax', replace: 'priceUsd: 0.4, inputBytesMax' },
      { file: rules, find: 'if (manager === undefined && fold.spentUsd + event.award.bid.priceUsd > fold.limits.budgetUsd) return', replace: 'if (event.award.bid.priceUsd > fold.limits.budgetUsd) return' },
    ],
  },
  {
    name: 'recovers-at-leisure', promise: 'L1', scenario: 'crashes',
    why: 'after a restart the node has more urgent things to do',
    edits: [
      { file: orchestrator, find: `return { state, effects: [tick, { type: 'read-log', missionId: init.missionId, fromIndex: 1, max: readPage, tag: 'recover' }] }`, replace: `return { state, effects: [{ ...tick, delayMs: 15_000 }] }` },
      { file: orchestrator, find: '  // Nothing is left to look after but the time to rest.\n', replace: '  if (fold === undefined && init.opening === undefined && state.damaged === undefined) return [{ type: \'read-log\', missionId: init.missionId, fromIndex: 1, max: readPage, tag: \'recover\' }, { type: \'set-timer\', key: \'tick\', delayMs: 1_000, message: { kind: \'tick\' } }]\n' },
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
    edits: [{ file: participant, find: 'const wasRunning = state.core.running.has(message.awardId)', replace: 'const wasRunning = state.core.running.get(message.awardId)!.award.awardId === message.awardId' }],
  },
]
