/** Watches a virtual mesh: feeds the tally, the trace hash and, when promises are checked, the history. It changes nothing. */
import type { SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import { awardsIn } from '../../protocols/bidding/schema.ts'
import { openAdvert } from '../../protocols/capability/open-advert.ts'
import { digestOfText } from '../../protocols/kernel/hashing.ts'
import { isMissionGroup, type GroupId, type MissionId, type PeerId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { LogEntry } from '../../protocols/replicated-log/schema.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { Envelope, Received } from '../../protocols/wire.ts'
import { createGroupLogs, isMajority, type GroupLog } from '../history/group-logs.ts'
import type { HistoryRecord } from '../history/history.ts'
import type { Tally } from '../measure/tally.ts'
import type { MeshObserver } from '../observer.ts'
import type { PlannedNode } from '../scenario/expand.ts'
import type { TraceHash } from '../trace-hash.ts'
import type { VirtualNode } from '../virtual-mesh.ts'

export interface RecorderInit {
  readonly nowMs: () => InstantMs
  readonly nodes: ReadonlyMap<string, PlannedNode>
  readonly tally: Tally
  readonly trace: TraceHash
  /** Without it no record is kept: thousands of nodes say too much. */
  readonly keepsHistory: boolean
}

/** What is known of a mission from its log. */
export interface MissionTrack {
  readonly missionId: MissionId
  owner: string
  state: string
  lastIndex: number
  ended: boolean
  damaged: boolean
}

export interface Recorder extends MeshObserver {
  readonly records: readonly HistoryRecord[]
  readonly missions: ReadonlyMap<MissionId, MissionTrack>
  readonly groups: ReadonlyMap<GroupId, GroupLog>
  /** The peer lost its copy of the log, and the members have not changed since. */
  isHurt(group: GroupId, peer: PeerId): boolean
  add(record: HistoryRecord): void
  /** How full a node's queues ever were in this life: to be told when it ends, or the run does. */
  depths(node: VirtualNode): void
  /** The last events, oldest first, for people. */
  recent(max: number): string[]
}

const recentKept = 512
const endings: Readonly<Partial<Record<MissionEvent['type'], string>>> = { completed: 'completed', failed: 'failed', cancelled: 'cancelled' }

/** Of what a node that misbehaves publishes nothing is certain. */
function kindOf(envelope: Envelope): string {
  return (envelope as { readonly message?: { readonly kind?: string } } | undefined)?.message?.kind ?? 'garbage'
}

export function createRecorder(init: RecorderInit): Recorder {
  const { nowMs, tally, trace } = init
  const records: HistoryRecord[] = []
  const missions = new Map<MissionId, MissionTrack>()
  const names = new Map<PeerId, string>()
  const peers = new Map<string, PeerId>()
  const lives = new Map<string, number>()
  /** The most calls that waited at a node, as its adverts say. */
  const waitingMost = new Map<string, number>()
  const recent: (() => string)[] = []
  const groups = createGroupLogs()
  /** Whose copy of a log was lost since its members last changed. */
  const lostBy = new Map<GroupId, Set<PeerId>>()

  function add(record: HistoryRecord): void {
    if (record.type === 'disk-damaged') for (const group of groupsHurt(record)) hurt(record.peer, group)
    if (init.keepsHistory) records.push(record)
  }

  /** Of a new disk, and of one that was put back, all that it had. */
  function groupsHurt({ how, lost, peer }: Extract<HistoryRecord, { type: 'disk-damaged' }>): readonly GroupId[] {
    return how === 'disk-wiped' || how === 'disk-rolled-back' ? [...groups.logs.values()].filter(({ copies }) => copies.has(peer)).map(({ group }) => group) : lost
  }

  /** When so many copies are lost that nobody can go on, nobody waits for the mission's end any more. */
  function hurt(peer: PeerId, group: GroupId): void {
    const lost = lostBy.get(group) ?? new Set<PeerId>()
    lostBy.set(group, lost.add(peer))
    const mission = missions.get(group as MissionId)
    const membership = groups.logs.get(group)?.membership
    if (mission !== undefined && (membership === undefined || !isMajority(membership, (member) => !lost.has(member.peer)))) mission.damaged = true
  }

  /** Kept as what makes the line: nearly none is ever read. */
  function remember(line: () => string): void {
    const atMs = nowMs()
    recent.push(() => `${atMs.toFixed(3)} ms  ${line()}`)
    if (recent.length > 2 * recentKept) recent.splice(0, recentKept)
  }

  function hash(what: string, node: string, detail: string): void {
    trace.number(nowMs())
    trace.text(what)
    trace.text(node)
    trace.text(detail)
  }

  const nameOf = (peer: PeerId): string => names.get(peer) ?? peer

  function track(missionId: MissionId, index: number, event: MissionEvent): void {
    let mission = missions.get(missionId)
    if (mission === undefined) missions.set(missionId, (mission = { missionId, owner: '', state: 'accepted', lastIndex: 0, ended: false, damaged: false }))
    mission.lastIndex = Math.max(mission.lastIndex, index)
    if (event.type === 'submitted' || event.type === 'took-over') mission.owner = nameOf(event.owner)
    mission.state = endings[event.type] ?? (event.type === 'paused' ? 'paused' : event.type === 'planned' || event.type === 'resumed' || event.type === 'retried' ? 'running' : mission.state)
    mission.ended = endings[event.type] !== undefined || (mission.ended && event.type !== 'retried')
  }

  function committed(group: GroupId, entries: readonly LogEntry[]): void {
    if (entries.some(({ event }) => event.type === 'members')) lostBy.delete(group)
    if (!isMissionGroup(group)) return
    for (const { index, event } of entries) {
      remember(() => `${group} committed ${index} ${event.type}`)
      track(group, index, event as MissionEvent)
      tally.entryCommitted(group, event as MissionEvent, nowMs())
    }
  }

  function synced(node: string, group: GroupId, given: readonly LogEntry[], truncateFrom: number | undefined): void {
    const peer = peers.get(node)
    if (peer === undefined) return
    for (const { index, event, chain } of given) {
      hash('synced', node, chain)
      remember(() => `${node} synced ${group} ${index} ${event.type}`)
    }
    const { entries, fresh } = groups.synced(peer, group, given, truncateFrom)
    add({ type: 'synced', atMs: nowMs(), node, peer, group, entries, ...(truncateFrom === undefined ? {} : { truncateFrom }) })
    committed(group, fresh)
  }

  /** What a node that signs two adverts under one number has told whom. */
  function advertHeard(to: PeerId, { peer: from, envelope: { message } }: Received): void {
    if (message.kind !== 'advert' || init.nodes.get(nameOf(from))?.group.conduct?.kind !== 'equivocates') return
    const advert = openAdvert(message.signed)?.advert
    if (advert?.peerId === from) add({ type: 'advert-heard', atMs: nowMs(), node: nameOf(to), of: from, sequence: advert.sequence, digest: digestOfText(message.signed.advert) })
  }

  function heard(to: PeerId, received: Received): void {
    const { peer: from, envelope: { message } } = received
    const at = { atMs: nowMs(), from, to }
    advertHeard(to, received)
    if (message.kind === 'propose') add({ ...at, type: 'proposed', bids: message.bids, participant: message.participant.actor })
    else if (message.kind === 'invoke') add({ ...at, type: 'invoke-heard', callId: message.call.callId, missionId: message.call.missionId, taskId: message.call.taskId })
    else if (message.kind === 'accept-proposal') {
      for (const { awardId, missionId, taskId, epoch, effects } of awardsIn(message)) add({ ...at, type: 'award-heard', awardId, missionId, taskId, epoch, external: effects === 'external' })
    } else if (message.kind === 'inform') for (const { awardId, result } of message.results) add({ ...at, type: 'result-heard', awardId, failed: false, result })
    if (message.kind === 'failure') add({ ...at, type: 'result-heard', awardId: message.awardId, failed: true })
  }

  /** Said when it leaves: it may be heard long after its sender has ended. */
  function sent(from: PeerId, to: PeerId, { message }: Envelope): void {
    const at = { atMs: nowMs(), from, to }
    if (message.kind === 'vote' && message.granted && !message.pre) add({ ...at, type: 'vote-said', group: message.group, as: message.as, epoch: message.epoch })
    else if (message.kind === 'log-appended' && message.ok) add({ ...at, type: 'append-said', group: message.group, as: message.as, epoch: message.epoch, matched: message.matched })
  }

  function published(by: PeerId, envelope: Envelope): void {
    if (kindOf(envelope) !== 'advert' || envelope.message.kind !== 'advert') return
    const advert = openAdvert(envelope.message.signed)?.advert
    if (advert?.peerId === by) waitingMost.set(nameOf(by), Math.max(waitingMost.get(nameOf(by)) ?? 0, advert.load.waiting))
    if (advert !== undefined) add({ type: 'advert-published', atMs: nowMs(), by, advert, honest: init.nodes.get(nameOf(by))?.group.conduct === undefined })
  }

  function skillEnd(event: Extract<SkillRunEvent, { type: 'done' | 'failed' }> | { readonly type: 'lost' }) {
    if (event.type === 'lost') return { outcome: 'lost' as const, costUsd: 0 }
    const stopped = event.type === 'failed' && (event.fault.code === 'cancelled' || event.fault.code === 'fenced')
    return {
      outcome: stopped ? ('stopped' as const) : event.type, costUsd: event.stats.costUsd,
      ...(event.type === 'done' ? { output: event.output } : { code: event.fault.code }),
    }
  }

  function depths(node: VirtualNode): void {
    add({ type: 'depths', atMs: nowMs(), node: node.name, mailboxMax: node.mesh.mailboxMessagesMost, waitingCalls: waitingMost.get(node.name) ?? 0, deadLetters: node.mesh.deadLetters().count })
  }

  const whose = (node: VirtualNode) => ({ atMs: nowMs(), node: node.name, peer: node.peer })

  return {
    records, missions, groups: groups.logs, add, depths,
    isHurt: (group, peer) => lostBy.get(group)?.has(peer) ?? false,
    recent: (max) => recent.slice(-max).map((line) => line()),
    nodeStarted(node, missionsOnDisk) {
      names.set(node.peer, node.name)
      peers.set(node.name, node.peer)
      const planned = init.nodes.get(node.name)
      const life = (lives.get(node.name) ?? 0) + 1
      lives.set(node.name, life)
      hash('started', node.name, String(life))
      remember(() => `${node.name} started, life ${life}`)
      const slots = planned?.group.slots ?? 0
      tally.nodeUp(node.name, node.peer, slots, nowMs())
      add({ ...whose(node), type: 'started', life, capabilities: planned?.skills.map((skill) => skill.capability) ?? [], slots, missionsOnDisk, ...(planned?.group.conduct === undefined ? {} : { conduct: planned.group.conduct.kind }) })
    },
    nodeStopped(node, how, reason) {
      hash('stopped', node.name, how)
      remember(() => `${node.name} ended: ${how}${reason === undefined ? '' : ` (${reason})`}`)
      tally.nodeDown(node.name, nowMs())
      depths(node)
      add({ ...whose(node), type: 'stopped', how, ...(reason === undefined ? {} : { reason }) })
    },
    synced,
    groupSynced: synced,
    runStarted(node, run) {
      hash('run', node.name, run.runId)
      remember(() => `${node.name} runs ${run.capability} ${run.step} for ${run.taskId}`)
      tally.runStarted({ node: node.name, runId: run.runId, missionId: run.missionId as MissionId, taskId: run.taskId, step: run.step }, nowMs())
      const offered = init.nodes.get(node.name)?.skills.some((skill) => skill.capability === run.capability) ?? false
      add({ ...whose(node), type: 'run-started', runId: run.runId, missionId: run.missionId as MissionId, taskId: run.taskId as never, step: run.step, capability: run.capability, attempt: run.attempt, offered })
    },
    runEnded(node, run, event) {
      const end = skillEnd(event)
      hash(end.outcome, node.name, run.runId)
      remember(() => `${node.name} ${end.outcome} ${run.capability} ${run.step} of ${run.taskId}`)
      tally.runEnded({ node: node.name, runId: run.runId }, end.outcome, nowMs())
      add({ ...whose(node), type: 'run-ended', runId: run.runId, missionId: run.missionId as MissionId, taskId: run.taskId as never, ...end })
    },
    fact(node, { name, fields }) {
      const group = String(fields['group']) as GroupId
      if (name === 'log.committed') {
        const upTo = { index: Number(fields['index']), chain: String(fields['chain']) }
        add({ ...whose(node), type: 'committed', group, ...upTo })
        committed(group, groups.reported(node.peer, group, upTo).fresh)
      } else if (name === 'group.leads') {
        remember(() => `${node.name} leads ${group} under ${fields['lineage']}.${fields['term']}`)
        add({ ...whose(node), type: 'leads', group, epoch: { lineage: Number(fields['lineage']), term: Number(fields['term']) } })
      } else if (name === 'group.damaged') add({ ...whose(node), type: 'damage-told', group, detail: String(fields['detail']) })
      else if (name === 'group.left') add({ ...whose(node), type: 'group-left', group })
      else if (name === 'store.lost-everything') add({ ...whose(node), type: 'lost-everything-told' })
      else if (name === 'advert.equivocation') add({ type: 'equivocation-told', atMs: nowMs(), node: node.name, of: String(fields['peer']) as PeerId, sequence: Number(fields['sequence']) })
      else if (name === 'advert.forged') add({ type: 'forgery-told', atMs: nowMs(), node: node.name, of: String(fields['peer']) as PeerId })
      else if (name === 'actor.failed' || name === 'actor.effect-failed') add({ type: 'actor-failed', atMs: nowMs(), node: node.name, actor: String(fields['actor']), reason: String(fields['reason']) })
    },
    ...(init.keepsHistory
      ? {
          sent,
          delivered(to: PeerId, received: Received) {
            remember(() => `${nameOf(received.peer)} → ${nameOf(to)}  ${received.envelope.message.kind}`)
            heard(to, received)
          },
          gossiped: advertHeard,
          published(from: PeerId, topic: string, envelope: Envelope) {
            remember(() => `${nameOf(from)} ⇒ ${topic}  ${kindOf(envelope)}`)
            published(from, envelope)
          },
        }
      : {}),
  }
}
