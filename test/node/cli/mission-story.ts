/** A mission told event by event, for views and commands. */
import type { BidSummary } from '../../../protocols/bidding/schema.ts'
import { type Epoch, MissionId, PeerId, Principal, TaskId, awardIdOf } from '../../../protocols/kernel/ids.ts'
import { fault } from '../../../protocols/kernel/errors.ts'
import { type AwardRecord, MissionEvent, type TaskSpec } from '../../../protocols/tasking/schema.ts'

export const storyId = MissionId.parse('m-abcdefgh-000000000000')
export const peers = { a: PeerId.parse('12D3KooWnodeA'), b: PeerId.parse('12D3KooWnodeB'), c: PeerId.parse('12D3KooWnodeC') }
export type PeerLetter = keyof typeof peers
const epoch: Epoch = { lineage: 1, term: 1 }
const startWallMs = 1_000_000

function spec(id: string, kind: TaskSpec['kind'], capability: string, after: readonly string[] = []): unknown {
  return { taskId: id, kind, capability, effects: 'none', input: { inline: {} }, after, priority: 5, effort: 1, accept: [], retry: { attemptsMax: 4, backoffMs: 1_000 }, timeLimitMs: 1_000, optional: false }
}

function bid(letter: PeerLetter, finishMs: number): BidSummary {
  return {
    peer: peers[letter], name: `node-${letter}`, version: '1.0', estimatedFinishMs: finishMs, calibratedFinishMs: finishMs, priceUsd: 0, slotsFree: 2,
    breakdown: { queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: finishMs, samples: 1 }, terms: { finish: 1, price: 1, reliability: 1, headroom: 1, spread: 1 }, total: 0.9,
  }
}

export function awardOf(task: string, attempt: number, winner: PeerLetter, bids: Partial<Record<PeerLetter, number>>): AwardRecord {
  const summaries = Object.entries(bids).map(([letter, finishMs]) => bid(letter as PeerLetter, finishMs))
  const taskId = TaskId.parse(task)
  return {
    awardId: awardIdOf(storyId, taskId, attempt, epoch), taskId, attempt, epoch, worker: peers[winner], workerName: `node-${winner}`, capability: 'repo.measure' as AwardRecord['capability'], version: '1.0',
    bid: bid(winner, bids[winner] ?? 0), bids: summaries, refusals: [], why: 'earliest finish',
  }
}

/** Every event is checked against the schema, so the story cannot drift away from the contract. */
export const tell = {
  submitted: (): MissionEvent => MissionEvent.parse({
    type: 'submitted', atWallMs: startWallMs, missionId: storyId, principal: Principal.parse('local'), owner: peers.a, name: 'report on geese', request: { inline: {} },
    rootSpec: spec('root', 'composite', 'repo.report'), priority: 5, limits: {}, acknowledgement: 'local', requestDigest: 'x',
  }),
  planned: (atMs: number, ...names: string[]): MissionEvent => MissionEvent.parse({
    type: 'planned', atWallMs: startWallMs + atMs, taskId: 'root', children: names.map((name) => spec(`root/${name}`, 'leaf', 'repo.measure', name === 'last' ? ['root/one'] : [])),
  }),
  awarded: (atMs: number, task: string, attempt: number, winner: PeerLetter, bids: Partial<Record<PeerLetter, number>>): MissionEvent =>
    MissionEvent.parse({ type: 'awarded', atWallMs: startWallMs + atMs, award: awardOf(task, attempt, winner, bids) }),
  lost: (atMs: number, task: string, attempt: number, winner: PeerLetter): MissionEvent => MissionEvent.parse({
    type: 'award-ended', atWallMs: startWallMs + atMs, awardId: awardOf(task, attempt, winner, {}).awardId, taskId: task, fault: fault('lost-worker', `the connection to node-${winner} was lost`), outcome: 'lost', retryInMs: 0,
  }),
  accepted: (atMs: number, task: string, attempt: number, winner: PeerLetter, tookMs: number): MissionEvent => MissionEvent.parse({
    type: 'accepted', atWallMs: startWallMs + atMs, taskId: task, awardId: awardOf(task, attempt, winner, {}).awardId, result: { inline: { ok: true } }, cites: [], tookMs,
  }),
  dead: (atMs: number, task: string): MissionEvent => MissionEvent.parse({ type: 'dead', atWallMs: startWallMs + atMs, taskId: task, fault: fault('skill-failed', 'it \u001b[31mhonked\u0007') }),
  completed: (atMs: number): MissionEvent => MissionEvent.parse({ type: 'completed', atWallMs: startWallMs + atMs, result: { inline: { lines: 3 } } }),
  failed: (atMs: number): MissionEvent => MissionEvent.parse({ type: 'failed', atWallMs: startWallMs + atMs, fault: fault('skill-failed', 'root/one gave up', { next: 'mend the skill' }) }),
}

export const storyStartWallMs = startWallMs

/** A worker dies at work, another takes over, all ends well. */
export function goodStory(): MissionEvent[] {
  return [
    tell.submitted(),
    tell.awarded(50, 'root', 1, 'a', { a: 900 }),
    tell.planned(100, 'one', 'two', 'last'),
    tell.awarded(200, 'root/one', 1, 'b', { a: 1_200, b: 800, c: 900 }),
    tell.awarded(210, 'root/two', 1, 'c', { a: 1_300, c: 700 }),
    tell.accepted(900, 'root/two', 1, 'c', 650),
    tell.lost(1_000, 'root/one', 1, 'b'),
    tell.awarded(1_100, 'root/one', 2, 'c', { a: 1_200, c: 850 }),
    tell.accepted(1_900, 'root/one', 2, 'c', 760),
    tell.awarded(1_950, 'root/last', 1, 'a', { a: 100, c: 300 }),
    tell.accepted(2_050, 'root/last', 1, 'a', 90),
    tell.accepted(2_100, 'root', 1, 'a', 2_000),
    tell.completed(2_110),
  ]
}
