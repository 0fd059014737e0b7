/** Histories made by hand: a mesh of named nodes, one mission with the tasks that a test plans, and whatever happens to them. */
import { canonicalJson, digestOfText } from '../../../protocols/kernel/hashing.ts'
import { awardIdOf, callIdOf, isMissionGroup, type AwardId, type Epoch, type GroupId, type Incarnation, type MissionId, type PeerId, type TaskId } from '../../../protocols/kernel/ids.ts'
import type { Member } from '../../../protocols/membership/schema.ts'
import { extend, logOrigin, positionOf } from '../../../protocols/replicated-log/chain.ts'
import type { LogEntry, LogRecord } from '../../../protocols/replicated-log/schema.ts'
import { MissionLimits, MissionRequest, RetryPolicy, type AwardRecord, type MissionEvent, type TaskSpec } from '../../../protocols/tasking/schema.ts'
import type { MissionView } from '../../../protocols/tasking/views.ts'
import type { History, HistoryRecord } from '../../../sim/history/history.ts'

export const mission = 'm-aaaaaaaa-000000000001' as MissionId
export const otherMission = 'm-aaaaaaaa-000000000002' as MissionId

type WithoutTime<Kind> = Kind extends unknown ? Omit<Kind, 'atMs'> : never

export function peerOf(node: string): PeerId {
  return `v-${node}` as PeerId
}

/** A voter of its first life. */
export function memberOf(node: string): Member {
  return { peer: peerOf(node), incarnation: 'life01' as Incarnation }
}

export function requestOf(input: unknown = {}): MissionRequest {
  return MissionRequest.parse({ capability: 'work', input })
}

export function digestOfRequest(request: MissionRequest): string {
  return digestOfText(canonicalJson(request))
}

export function specOf(taskId: string, change: Partial<TaskSpec> = {}): TaskSpec {
  return { taskId: taskId as TaskId, kind: 'leaf', capability: 'work' as never, effects: 'none', input: { inline: {} }, after: [], priority: 5, effort: 1, accept: [], retry: RetryPolicy.parse({}), timeLimitMs: 60_000, optional: false, ...change }
}

const breakdown = { queueMs: 0, warmUpMs: 0, transferMs: 0, runMs: 100, samples: 0 }
const terms = { finish: 1, price: 1, reliability: 1, headroom: 1, spread: 1 }

export interface AwardWish {
  readonly attempt?: number
  readonly epoch?: Epoch
  readonly capability?: string
  readonly priceUsd?: number
}

export function awardOf(taskId: string, worker: string, { attempt = 1, epoch = { lineage: 1, term: 1 }, capability = 'work', priceUsd = 0 }: AwardWish = {}): AwardRecord {
  const bid = { peer: peerOf(worker), name: worker, version: '1.0' as never, estimatedFinishMs: 100, calibratedFinishMs: 100, priceUsd, slotsFree: 1, breakdown, terms, total: 1 }
  return { awardId: awardIdOf(mission, taskId as TaskId, attempt, epoch), taskId: taskId as TaskId, attempt, epoch, worker: peerOf(worker), workerName: worker, capability: capability as never, version: '1.0' as never, bid, bids: [], refusals: [], why: 'the only bid' }
}

export function builder() {
  const records: HistoryRecord[] = []
  const logs = new Map<GroupId, { readonly entries: LogEntry[]; readonly voters: readonly string[]; readonly has: Map<string, number>; epoch: Epoch }>()
  const views = new Map<MissionId, MissionView>()
  const lives = new Map<string, number>()
  let nowMs = 0
  let healedMs: number | undefined
  let operations = 0

  const put = (record: WithoutTime<HistoryRecord>): void => void records.push({ atMs: nowMs, ...record } as HistoryRecord)
  const common = { atWallMs: 0 }
  const isUp = (node: string): boolean => records.findLast((record) => (record.type === 'started' || record.type === 'stopped') && record.node === node)?.type === 'started'
  const said = new Map<string, number>()

  /** What it has on its disk of a log, from now on the same as whoever leads it. */
  const catchUp = (node: string, group: GroupId): void => {
    const { entries, has } = logs.get(group)!
    const had = has.get(node) ?? 0
    if (had === entries.length) return
    put({ type: 'synced', node, peer: peerOf(node), group, entries: entries.slice(had) })
    has.set(node, entries.length)
  }
  const sayCommitted = (node: string, group: GroupId): void => {
    const last = logs.get(group)?.entries.at(-1)
    if (last === undefined || said.get(`${node} ${group}`) === last.index) return
    said.set(`${node} ${group}`, last.index)
    put({ type: 'committed', node, peer: peerOf(node), group, index: last.index, chain: last.chain })
  }

  const build = {
    put,
    after(ms: number) {
      nowMs += ms
      return build
    },
    node(node: string, { capabilities = ['work', 'split'], onDisk = [...logs.keys()].filter(isMissionGroup).filter((id) => (logs.get(id)?.has.get(node) ?? 0) > 0), conduct }: { capabilities?: string[]; onDisk?: MissionId[]; conduct?: 'equivocates' | 'wrong-results' } = {}) {
      const life = (lives.get(node) ?? 0) + 1
      lives.set(node, life)
      put({ type: 'started', node, peer: peerOf(node), life, capabilities, slots: 2, missionsOnDisk: onDisk, ...(conduct === undefined ? {} : { conduct }) })
      return build
    },
    stop(node: string, how: 'crash' | 'power-cut' | 'left' | 'gave-up' = 'crash') {
      put({ type: 'stopped', node, peer: peerOf(node), how })
      return build
    },
    /** A log begins: its voters are who is named. */
    found(group: GroupId, voters: readonly string[]) {
      logs.set(group, { entries: [], voters, has: new Map(), epoch: { lineage: 1, term: 1 } })
      put({ type: 'leads', node: voters[0]!, peer: peerOf(voters[0]!), group, epoch: { lineage: 1, term: 1 } })
      return build.sync(voters[0]!, [{ type: 'members', ...common, membership: { voters: voters.map(memberOf), learners: [] } }], group)
    },
    /** Events that `node`, who leads, and all voters that are up have on their disks, and then call committed. */
    sync(node: string, events: readonly LogRecord[], group: GroupId = mission) {
      build.keep([node], events, group)
      const holders = new Set([node, ...logs.get(group)!.voters.filter(isUp)])
      for (const one of holders) catchUp(one, group)
      for (const one of holders) sayCommitted(one, group)
      return build
    },
    /** The same, on these disks only, and nobody calls it committed. */
    keep(nodes: readonly string[], events: readonly LogRecord[], group: GroupId = mission) {
      const log = logs.get(group) ?? { entries: [], voters: nodes, has: new Map<string, number>(), epoch: { lineage: 1, term: 1 } }
      logs.set(group, log)
      const took = events.find((event) => event.type === 'took-over')
      if (took !== undefined) log.epoch = took.epoch
      const last = log.entries.at(-1)
      log.entries.push(...extend(last === undefined ? logOrigin : positionOf(last), log.epoch, events))
      for (const node of nodes) catchUp(node, group)
      return build
    },
    /** It says of all there is that it is committed. */
    callsCommitted(node: string, group: GroupId = mission) {
      sayCommitted(node, group)
      return build
    },
    /** What the next entry follows, for these disks: they have dropped the rest. */
    rewind(index: number, nodes: readonly string[], epoch: Epoch = { lineage: 1, term: 1 }, group: GroupId = mission) {
      const log = logs.get(group)!
      log.entries.length = index
      log.epoch = epoch
      for (const node of nodes) {
        log.has.set(node, index)
        said.delete(`${node} ${group}`)
        put({ type: 'synced', node, peer: peerOf(node), group, entries: [], truncateFrom: index + 1 })
      }
      return build
    },
    damage(node: string, how: 'bit-rot' | 'disk-rolled-back' | 'disk-wiped', lost: readonly GroupId[] = [mission]) {
      put({ type: 'disk-damaged', node, peer: peerOf(node), how, lost })
      if (how === 'disk-wiped') for (const { has } of logs.values()) has.delete(node)
      return build
    },
    /** The claim of its key if it has one; then the mission's first three entries: who keeps it, what was asked, and the tasks of its plan. */
    open(node: string, children: readonly TaskSpec[], { missionId = mission, key, request = requestOf(), budgetUsd = 1, principal = 'ada', voters = [node], claimed = key !== undefined }: { missionId?: MissionId; key?: string; request?: MissionRequest; budgetUsd?: number; principal?: string; voters?: readonly string[]; claimed?: boolean } = {}) {
      if (claimed) build.claim(node, key ?? 'none', { missionId, request, principal })
      build.found(missionId, voters)
      return build.sync(node, [
        { type: 'submitted', ...common, missionId, principal: principal as never, owner: peerOf(node), name: 'work', request: { inline: {} }, rootSpec: specOf('root', { kind: 'composite', capability: 'mission.plan' as never }), priority: 5, limits: MissionLimits.parse({ budgetUsd }), acknowledgement: request.acknowledgement, ...(key === undefined ? {} : { key }), requestDigest: digestOfRequest(request) },
        { type: 'planned', ...common, taskId: 'root' as TaskId, children: [...children] },
      ], missionId)
    },
    /** In the one shard that these histories have. */
    claim(node: string, key: string, { missionId = mission, request = requestOf(), principal = 'ada' }: { missionId?: MissionId; request?: MissionRequest; principal?: string } = {}) {
      if (!logs.has('registrar-00')) build.found('registrar-00', [node])
      return build.sync(node, [{ type: 'claimed', ...common, claim: { principal: principal as never, key, requestDigest: digestOfRequest(request), missionId, members: [peerOf(node)], atWallMs: 0 } }], 'registrar-00')
    },
    tookOver(node: string, term: number, owner = node) {
      put({ type: 'leads', node, peer: peerOf(node), group: mission, epoch: { lineage: 1, term } })
      return build.sync(node, [{ type: 'took-over', ...common, epoch: { lineage: 1, term }, owner: peerOf(owner) }])
    },
    bid(from: string, to: string, taskId: string, { attempt = 1, epoch = { lineage: 1, term: 1 }, priceUsd = 0 }: AwardWish = {}) {
      put({ type: 'proposed', from: peerOf(from), to: peerOf(to), participant: 'participant', bids: [{ callId: callIdOf(mission, taskId as TaskId, attempt, epoch), version: '1.0' as never, estimatedFinishMs: 100, breakdown, priceUsd, slotsFree: 1, slots: 2, locality: 1, hostsOrchestrator: false, expiresInMs: 5_000 }] })
      return build
    },
    award(node: string, taskId: string, worker: string, wish: AwardWish = {}) {
      return build.sync(node, [{ type: 'awarded', ...common, award: awardOf(taskId, worker, wish) }])
    },
    heardAward(from: string, to: string, taskId: string, wish: AwardWish & { external?: boolean } = {}) {
      const { awardId, epoch } = awardOf(taskId, to, wish)
      put({ type: 'award-heard', from: peerOf(from), to: peerOf(to), awardId, missionId: mission, taskId: taskId as TaskId, epoch, external: wish.external ?? false })
      return build
    },
    run(node: string, taskId: string, { step = 'run', output = 1, offered = true, outcome = 'done', ...wish }: AwardWish & { step?: 'run' | 'plan' | 'synthesise'; output?: number; offered?: boolean; outcome?: 'done' | 'failed' | 'lost' } = {}) {
      const { awardId } = awardOf(taskId, node, wish)
      const of = { node, peer: peerOf(node), runId: step === 'run' ? awardId : `${awardId}:${step}:3`, missionId: mission, taskId: taskId as TaskId }
      put({ type: 'run-started', ...of, step, capability: wish.capability ?? (step === 'run' ? 'work' : 'split'), attempt: wish.attempt ?? 1, offered })
      put({ type: 'run-ended', ...of, outcome, costUsd: 0, ...(outcome === 'done' ? { output: { inline: output } } : {}) })
      return build
    },
    result(from: string, to: string, taskId: string, { output = 1, failed = false, ...wish }: AwardWish & { output?: number; failed?: boolean } = {}) {
      put({ type: 'result-heard', from: peerOf(from), to: peerOf(to), awardId: awardOf(taskId, from, wish).awardId, failed, ...(failed ? {} : { result: { inline: output } }) })
      return build
    },
    ended(node: string, taskId: string, outcome: 'refused' | 'lost' | 'failed', { retryable = true, ...wish }: AwardWish & { retryable?: boolean } = {}) {
      const code = outcome === 'lost' ? 'lost-worker' : outcome === 'refused' ? 'overloaded' : 'skill-failed'
      return build.sync(node, [{ type: 'award-ended', ...common, awardId: awardOf(taskId, 'x', wish).awardId, taskId: taskId as TaskId, outcome, fault: { code, detail: 'it did', retryable } }])
    },
    accept(node: string, taskId: string, { output = 1, cites = [], ...wish }: AwardWish & { output?: number; cites?: readonly AwardId[] } = {}) {
      return build.sync(node, [{ type: 'accepted', ...common, taskId: taskId as TaskId, awardId: awardOf(taskId, 'x', wish).awardId, result: { inline: output }, cites: [...cites], tookMs: 1 }])
    },
    /** The root's acceptance and the mission's end. */
    complete(node: string, cites: readonly AwardId[], { term = 1 }: { term?: number } = {}) {
      build.accept(node, 'root', { cites, epoch: { lineage: 1, term } })
      return build.sync(node, [{ type: 'completed', ...common, result: { inline: 1 } }])
    },
    event(node: string, event: { type: MissionEvent['type'] } & Record<string, unknown>) {
      return build.sync(node, [{ ...common, ...event } as unknown as MissionEvent])
    },
    ask(operation: 'submit' | 'result', end: { ok?: unknown; fail?: string; unknown?: true }, { node = 'n1', key, request = requestOf(), principal = 'ada' }: { node?: string; key?: string; request?: MissionRequest; principal?: string } = {}) {
      operations += 1
      const of = { operation: operations, client: 'client-1', node }
      put({ type: 'invoke', ...of, principal, ...(key === undefined ? {} : { key }), asked: operation === 'submit' ? { op: 'submit', request, ...(key === undefined ? {} : { key }) } : { op: 'result', missionId: mission } })
      if (end.ok !== undefined) put({ type: 'ok', ...of, answer: end.ok as never })
      if (end.fail !== undefined) put({ type: 'fail', ...of, fault: { code: end.fail as never, detail: 'no', retryable: false } })
      if (end.unknown === true) put({ type: 'unknown', ...of, reason: 'no answer' })
      return build
    },
    heal(deadlineMs = nowMs + 60_000) {
      healedMs = nowMs
      put({ type: 'all-healed', deadlineMs })
      return build
    },
    view(change: Partial<MissionView> = {}, missionId: MissionId = mission) {
      views.set(missionId, { id: missionId, lastIndex: logs.get(missionId)?.entries.length ?? 0, tasks: {}, spentUsd: 0, ...change } as MissionView)
      return build
    },
    /** @param toMs when the run ended. */
    end(toMs = nowMs): History {
      return { records, endMs: toMs, healedMs, views }
    },
  }
  return build
}

export type HistoryBuilder = ReturnType<typeof builder>

/** A bid that was heard, the award, its run and the result that came: all of one leaf but its acceptance. */
export function carriedOut(build: HistoryBuilder, taskId: string, worker: string, manager = 'n1', wish: AwardWish = {}): HistoryBuilder {
  return build.bid(worker, manager, taskId, wish).award(manager, taskId, worker, wish).heardAward(manager, worker, taskId, wish).run(worker, taskId, wish).result(worker, manager, taskId, wish)
}

/** A mission of two leaves that goes well from its submission to its end, on three nodes. */
export function goodMission(build: HistoryBuilder = builder()): HistoryBuilder {
  build.node('n1').node('n2').node('n3')
  build.open('n1', [specOf('root/a'), specOf('root/b')], { voters: ['n1', 'n2', 'n3'] }).ask('submit', { ok: { id: mission, owner: peerOf('n1'), lastIndex: 3 } })
  carriedOut(build.after(100), 'root/a', 'n2').accept('n1', 'root/a')
  carriedOut(build.after(100), 'root/b', 'n3').accept('n1', 'root/b')
  return build.after(10).complete('n1', [awardOf('root/a', 'n2').awardId, awardOf('root/b', 'n3').awardId]).view({ tasks: { accepted: 2 } })
}
