/** Watches a virtual mesh: feeds the tally, the trace hash and, when promises are checked, the history. It changes nothing. */
import type { SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import { openAdvert } from '../../protocols/capability/open-advert.ts'
import { digestOfText } from '../../protocols/kernel/hashing.ts'
import type { MissionId, PeerId } from '../../protocols/kernel/ids.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { MissionEvent } from '../../protocols/tasking/schema.ts'
import type { Envelope, Received } from '../../protocols/wire.ts'
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

  function add(record: HistoryRecord): void {
    if (record.type === 'disk-damaged') for (const missionId of record.lost) damaged(missionId)
    if (init.keepsHistory) records.push(record)
  }

  /** Its log is not what it was: nobody waits for its end any more. */
  function damaged(missionId: MissionId): void {
    const mission = missions.get(missionId)
    if (mission !== undefined) mission.damaged = true
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

  function track(node: string, missionId: MissionId, index: number, event: MissionEvent): void {
    let mission = missions.get(missionId)
    if (mission === undefined) missions.set(missionId, (mission = { missionId, owner: node, state: 'accepted', lastIndex: 0, ended: false, damaged: false }))
    mission.lastIndex = Math.max(mission.lastIndex, index)
    mission.state = endings[event.type] ?? (event.type === 'paused' ? 'paused' : event.type === 'planned' || event.type === 'resumed' || event.type === 'retried' ? 'running' : mission.state)
    mission.ended = endings[event.type] !== undefined || (mission.ended && event.type !== 'retried' && event.type !== 'took-over')
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
    else if (message.kind === 'accept-proposal') {
      const { awardId, missionId, taskId, epoch, effects } = message.award
      add({ ...at, type: 'award-heard', awardId, missionId, taskId, epoch, external: effects === 'external' })
    } else if (message.kind === 'inform') add({ ...at, type: 'result-heard', awardId: message.awardId, failed: false, result: message.result })
    else if (message.kind === 'failure') add({ ...at, type: 'result-heard', awardId: message.awardId, failed: true })
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
    records, missions, add, depths,
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
    synced(node, missionId, entries) {
      for (const { index, event, chain } of entries) {
        hash('synced', node, chain)
        remember(() => `${node} synced ${missionId} ${index} ${event.type}`)
        track(node, missionId, index, event)
        tally.entrySynced(node, missionId, event, nowMs())
      }
      const peer = peers.get(node)
      if (peer !== undefined) add({ type: 'synced', atMs: nowMs(), node, peer, missionId, entries })
    },
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
      if (name === 'mission.damaged') {
        const missionId = String(fields['mission']) as MissionId
        damaged(missionId)
        add({ ...whose(node), type: 'damage-told', missionId, detail: String(fields['detail']) })
      } else if (name === 'advert.equivocation') add({ type: 'equivocation-told', atMs: nowMs(), node: node.name, of: String(fields['peer']) as PeerId, sequence: Number(fields['sequence']) })
      else if (name === 'advert.forged') add({ type: 'forgery-told', atMs: nowMs(), node: node.name, of: String(fields['peer']) as PeerId })
      else if (name === 'actor.failed' || name === 'actor.effect-failed') add({ type: 'actor-failed', atMs: nowMs(), node: node.name, actor: String(fields['actor']), reason: String(fields['reason']) })
    },
    ...(init.keepsHistory
      ? {
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
