/**
 * Missions desks of some nodes, and nothing else of them: what a desk asks of its own node is answered at once as a sound node would,
 * what it says to another desk arrives, and what becomes of logs and orchestrators a test says.
 */
import { missions } from '../../actors/behaviours/missions.ts'
import type { LedLog } from '../../actors/behaviours/orchestrator-state.ts'
import type { ActorMessage } from '../../actors/messages.ts'
import { actorNames, at } from '../../actors/names.ts'
import type { ActorContext } from '../../actors/runtime/actor.ts'
import type { Effect } from '../../actors/runtime/effects.ts'
import { defaultTuning } from '../../actors/tuning.ts'
import { fault, type Fault } from '../../protocols/kernel/errors.ts'
import type { ActorAddress, Incarnation, MissionId, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { emptyRegistrar, foldRegistrar, judgeClaim } from '../../protocols/membership/registrar.ts'
import type { MissionClaim, Replica } from '../../protocols/membership/schema.ts'
import { extend, logOrigin } from '../../protocols/replicated-log/chain.ts'
import type { LogEntry, LogRecord } from '../../protocols/replicated-log/schema.ts'
import { MissionRequest, type MissionOperation } from '../../protocols/tasking/schema.ts'
import { Message } from '../../protocols/wire.ts'
import { virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { capability } from './virtual-missions.ts'

type Kind = ActorMessage['kind']

interface Desk {
  readonly name: string
  readonly peer: PeerId
  hear(message: ActorMessage, from?: ActorAddress): void
  /** What it told its own node's actors, but for what is answered here. */
  readonly told: { readonly to: ActorAddress; readonly message: ActorMessage }[]
  /** Orchestrators that live here. */
  readonly orchestrators: Set<MissionId>
  /** Of those who asked here. */
  readonly answers: { readonly answer?: Json | undefined; readonly fault?: Fault | undefined }[]
}

export function desksWorld(names: Readonly<Record<string, { readonly replica: boolean }>>) {
  const desks = new Map<PeerId, Desk>()
  const registrar = emptyRegistrar()
  const waiting: (() => void)[] = []
  const replicas = Object.keys(names).filter((name) => names[name]?.replica === true).map((name): Replica => ({ peer: virtualPeerId(name), name, incarnation: `store${name}` as Incarnation, domain: name }))
  let isRunning = false

  /** One message after the other, as mailboxes do. */
  function soon(deliver: () => void): void {
    waiting.push(deliver)
    if (isRunning) return
    isRunning = true
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next()
    isRunning = false
  }

  function claimed(claim: MissionClaim): { readonly claim?: MissionClaim; readonly fault?: Fault } {
    const judged = judgeClaim(registrar, claim)
    foldRegistrar(registrar, { type: 'claimed', atWallMs: 1_000, claim })
    if (judged.verdict === 'conflict') return { fault: fault('key-conflict', 'the key was used for another request') }
    return { claim: judged.verdict === 'holds' ? judged.claim : claim }
  }

  function open(name: string, replica: boolean): Desk {
    const peer = virtualPeerId(name)
    const self = at(peer, actorNames.missions)
    const behaviour = missions({ nodeName: name, tuning: defaultTuning, replica })
    const random = seededRandom([name.length, name.charCodeAt(0)])
    const context = (): ActorContext => ({ self, nowMs: 1_000, wallMs: 1_000, random, sign: () => new Uint8Array(64), verify: () => true, exists: (actor) => [...desk.orchestrators].some((id) => actorNames.orchestrator(id) === actor), connected: (other) => desks.has(other) })
    const desk: Desk = {
      name, peer, told: [], orchestrators: new Set(), answers: [],
      hear: (message, from = self) => soon(() => behaviour.receive(state, { message, from }, context()).forEach(perform)),
    }

    function perform(effect: Effect): void {
      switch (effect.type) {
        case 'tell':
          return tell(effect.to, effect.message)
        case 'spawn':
          desk.orchestrators.add(effect.name.slice(actorNames.orchestrator('' as MissionId).length) as MissionId)
          return
        case 'store-value':
          return desk.hear({ kind: 'value-stored', tag: effect.tag, payload: { inline: effect.value } })
        case 'check-input':
          return desk.hear({ kind: 'input-checked', tag: effect.tag })
        case 'fetch-blobs':
          return desk.hear({ kind: 'blobs-fetched', tag: effect.tag })
        case 'read-ended':
          return desk.hear({ kind: 'ended-read', tag: effect.tag, ended: [] })
        default:
      }
    }

    function tell(to: ActorAddress, message: ActorMessage): void {
      if (to.peer !== peer) return desks.get(to.peer)?.hear(Message.parse(structuredClone(message)), self)
      switch (message.kind) {
        case 'who-offers':
          return desk.hear({ kind: 'offers', tag: message.tag, population: 3, offers: message.queries.map((query) => ({ query, providers: [], population: 1, shards: 1, partial: false, known: capability('number.double'), versions: [], nearest: [] })) })
        case 'claim-mission':
          return desk.hear({ kind: 'claimed', tag: message.tag, ...claimed(message.claim) })
        case 'local-answer':
          desk.answers.push({ answer: message.answer, fault: message.fault })
          return
        default:
          desk.told.push({ to, message })
      }
    }

    const { state } = behaviour.start(context())
    return desk
  }

  for (const [name, { replica }] of Object.entries(names)) desks.set(virtualPeerId(name), open(name, replica))
  for (const desk of desks.values()) {
    desk.hear({ kind: 'groups-opened', incarnation: `store${desk.name}` as Incarnation, lostEverything: false, groups: [] })
    desk.hear({ kind: 'roster-known', view: { index: 1, lineage: 1, keepers: [], replicas, shards: [[]] } })
  }

  function named(name: string): Desk {
    const found = desks.get(virtualPeerId(name))
    if (found === undefined) throw new Error(`no desk ${name}`)
    return found
  }

  return {
    named,
    /** Those that a desk knows of: whom it passes submissions on to. */
    knows(name: string, ...others: string[]): void {
      named(name).hear({ kind: 'members', members: others.map((other) => ({ peer: virtualPeerId(other), name: other, replica: names[other]?.replica ?? false, missionsOwned: 0 })) })
    },
    submit(on: string, key: string | undefined, value = 1): void {
      const operation: MissionOperation = { op: 'submit', request: MissionRequest.parse({ capability: 'number.double', input: { value } }), ...(key === undefined ? {} : { key }) }
      named(on).hear({ kind: 'local-ask', requestId: `ask ${key}`, principal: 'me' as Principal, operation, replyTo: at(named(on).peer, 'client/1') })
    },
    toldOf: <K extends Kind>(name: string, kind: K) => named(name).told.flatMap(({ message }) => (message.kind === kind ? [message as Extract<ActorMessage, { kind: K }>] : [])),
    /** What its log would hold: its members, whoever took it over, and what is given. */
    log(led: LedLog['membership'], epochs: readonly { readonly term: number; readonly by: string }[], ...events: LogRecord[]): LedLog {
      let entries: LogEntry[] = [...extend(logOrigin, { lineage: 1, term: 1 }, [{ type: 'members', atWallMs: 0, membership: led }])]
      for (const { term, by } of epochs) entries = [...entries, ...extend(entries.at(-1)!, { lineage: 1, term }, [{ type: 'took-over', atWallMs: 0, epoch: { lineage: 1, term }, owner: virtualPeerId(by) }])]
      const epoch = { lineage: 1, term: epochs.at(-1)?.term ?? 1 }
      if (events.length > 0) entries = [...entries, ...extend(entries.at(-1)!, epoch, events)]
      return { epoch, membership: led, entries, commit: entries.length }
    },
    leads(name: string, group: MissionId, log: LedLog): void {
      named(name).hear({ kind: 'group-led', group, ...log })
    },
    follows(name: string, group: MissionId, leader?: string): void {
      named(name).hear({ kind: 'group-followed', group, ...(leader === undefined ? {} : { leader: virtualPeerId(leader) }) })
    },
    /** It ends by itself, or fails: then its desk is told. */
    ends(name: string, missionId: MissionId, failure?: string): void {
      named(name).orchestrators.delete(missionId)
      if (failure !== undefined) named(name).hear({ kind: 'child-failed', name: actorNames.orchestrator(missionId), reason: failure })
    },
  }
}
