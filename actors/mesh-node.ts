/**
 * One node of the mesh over its ports: real ones in `node/`, virtual ones in `sim/`. Nothing in here knows which.
 *
 * @packageDocumentation
 */
import { z } from 'zod'
import type { Duty } from '../protocols/capability/schema.ts'
import type { NodeView } from '../protocols/capability/views.ts'
import { fault, MeshError } from '../protocols/kernel/errors.ts'
import { CapabilityName, type PeerId, type TaskId } from '../protocols/kernel/ids.ts'
import { limits } from '../protocols/kernel/limits.ts'
import type { Json } from '../protocols/kernel/payload.ts'
import { seededRandom } from '../protocols/kernel/prng.ts'
import { newMissionId } from '../protocols/membership/placement.ts'
import { prefixesOf } from '../protocols/models/prefixes.ts'
import { attributesOf } from '../protocols/models/schema.ts'
import { unitsOf } from '../protocols/models/units.ts'
import { MissionOperation } from '../protocols/tasking/schema.ts'
import type { DeadView } from '../protocols/tasking/views.ts'
import { root } from './behaviours/root.ts'
import { feed } from './behaviours/feed.ts'
import type { Invocation, Invoked, InvokeOptions, MeshApi } from './mesh-api.ts'
import type { ActorMessage, InvocationAnswer } from './messages.ts'
import { actorNames, at, fingerprintOf } from './names.ts'
import type { Entropy } from './ports/entropy.ts'
import type { Identity } from './ports/identity.ts'
import { erased } from './runtime/actor.ts'
import { createDeadLetters, type DeadLetter } from './runtime/dead-letters.ts'
import { createInterpreter, type WorldPorts } from './runtime/interpreter.ts'
import { loadPayload, storePayload } from './runtime/payloads.ts'
import { createActorSystem, type ActorSystem } from './runtime/system.ts'
import { createTimers } from './runtime/timers.ts'
import { defaultTuning, type Tuning } from './tuning.ts'

export interface MeshNodePorts extends WorldPorts {
  readonly identity: Identity
  readonly entropy: Entropy
}

export interface MeshNodeOptions {
  readonly name: string
  readonly release: string
  readonly duties: readonly Duty[]
  readonly slots: number
  readonly refuseOnBattery?: boolean
  /** This node made the mesh: with an empty store it founds the roster. Every other node waits to be admitted. Default false. */
  readonly founds?: boolean
  /** Where it stands, so that a log's members are spread; default its name. */
  readonly domain?: string
  /** How many nodes the mesh is thought to have until this one has counted: where its shards begin. Default 10. */
  readonly nodesExpected?: number
  readonly tuning?: Partial<Tuning>
  readonly addrs?: () => readonly string[]
  readonly http?: () => string | undefined
  /** What this node answers when another asks for its status, peers or logs. */
  readonly report?: (about: 'status' | 'peers' | 'logs') => Json
}

export interface MeshNode extends MeshApi {
  /** Spawns the actors. Work is taken from now on. */
  start(): void
  /** Takes no more work, lets what runs finish or hands it back, withdraws the advert. Resolves at the latest after `limits.drainMs` and a little. */
  drain(): Promise<void>
  /** Ends every actor at once. */
  stop(): void
  deadLetters(): { readonly count: number; readonly recent: readonly DeadLetter[] }
  readonly actorCount: number
  /** The most messages that one mailbox ever held. */
  readonly mailboxMessagesMost: number
}

const prefixedBytesMax = 256 * 1024

/** Asked for people and by scrapes: what takes longer is not waited for. */
const replicationTimeoutMs = 3_000

export function createMeshNode(ports: MeshNodePorts, options: MeshNodeOptions): MeshNode {
  const { clock, identity, transport } = ports
  const self = identity.peerId
  const tuning: Tuning = { ...defaultTuning, ...options.tuning }
  const random = seededRandom(ports.entropy.seed())
  const deadLetters = createDeadLetters()
  const timers = createTimers(clock)
  const connected = new Set<PeerId>()
  const perform = createInterpreter(ports, () => system, timers)
  const system: ActorSystem = createActorSystem({ clock, identity, random: random.split(), deadLetters, connected: (peer) => connected.has(peer), perform, onStopped: (name) => timers.clearAll(name) })
  const nodeWatchers = new Set<() => void>()
  /** Ends what still waits for an answer: its timer would keep a stopped node's process alive. */
  const unanswered = new Set<() => void>()
  let counter = 0
  let phase: 'new' | 'running' | 'draining' | 'stopped' = 'new'

  const here = (actor: string) => at(self, actor)
  const toActor = (actor: string, message: ActorMessage, from: string): void => system.deliver(actor, { message, from: here(from) })

  transport.onReceive(({ peer, envelope }) => {
    const { message } = envelope
    if (message.kind === 'node-ask') {
      void report(message.about).then((told) => transport.send(peer, { to: envelope.from, from: 'node-desk', message: { kind: 'node-report', requestId: message.requestId, report: told } }))
      return
    }
    system.deliver(envelope.to, { message, from: at(peer, envelope.from), ...(envelope.principal === undefined ? {} : { principal: envelope.principal }) })
  })
  transport.onPeer((peer, state) => {
    if (state === 'up') connected.add(peer)
    else connected.delete(peer)
    system.deliver(actorNames.directory, { message: { kind: state === 'up' ? 'peer-up' : 'peer-down', peer }, from: here(actorNames.root) }, 'system')
  })
  transport.onUndelivered((peer, envelope, reason) => {
    deadLetters.add({ atWallMs: clock.wallMs(), to: `${peer}/${envelope.to}`, from: envelope.from, messageKind: envelope.message.kind, reason })
  })
  ports.gossip.onGossip((_topic, { peer, envelope }) => {
    system.deliver(envelope.to, { message: envelope.message, from: at(peer, envelope.from), ...(envelope.principal === undefined ? {} : { principal: envelope.principal }) })
  })
  ports.skillRunner.onCapabilitiesChanged(() => {
    if (phase === 'running' && options.duties.includes('worker')) toActor(actorNames.participant, { kind: 'capabilities-changed', capabilities: ports.skillRunner.capabilities() }, actorNames.root)
  })

  ports.skillRunner.onMeasured((measures) => {
    if (phase === 'running' && options.duties.includes('worker')) toActor(actorNames.participant, { kind: 'capabilities-measured', measures }, actorNames.root)
  })

  // What waits for room waits no longer than that, and is refused if there is none.
  ports.blobStore.onRoomWanted(async (bytes) => {
    if (phase === 'new' || phase === 'stopped') return
    await question((name) => toActor(actorNames.retention, { kind: 'room-wanted', bytes, replyTo: here(name) }, name), (message) => (message.kind === 'room-made' ? true : undefined), limits.roomPatienceMs).catch(() => undefined)
  })

  async function report(about: 'status' | 'peers' | 'logs'): Promise<Json> {
    const told = options.report?.(about) ?? null
    if (about !== 'status' || told === null || typeof told !== 'object' || Array.isArray(told) || phase !== 'running') return told
    // A node that cannot say how it replicates still says the rest.
    const replication = await node.replication().catch(() => undefined)
    return replication === undefined ? told : { ...told, replication: replication as unknown as Json }
  }

  /** One question to an actor, under a name of its own, answered once or not in time. */
  function question<T>(send: (replyTo: string, requestId: string) => void, accept: (message: ActorMessage) => T | undefined, timeoutMs: number): Promise<T> {
    counter += 1
    const name = `client/${counter}`
    return new Promise<T>((resolve, reject) => {
      const finish = (): void => {
        unanswered.delete(giveUp)
        cancel()
        detach()
      }
      const giveUp = (): void => {
        finish()
        reject(new MeshError('owner-unreachable', 'the node has stopped: the outcome is unknown', { next: 'ask another node, or this one once it runs again' }))
      }
      unanswered.add(giveUp)
      const cancel = clock.schedule(timeoutMs, () => {
        finish()
        reject(new MeshError('timeout', 'no answer came in time: the outcome is unknown', { next: 'try again with the same key' }))
      })
      const detach = system.attach(name, (message) => {
        try {
          const accepted = accept(message)
          if (accepted === undefined) return
          finish()
          resolve(accepted)
        } catch (thrown) {
          finish()
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
        }
      })
      send(name, String(counter))
    })
  }

  /** Under a name of its own, like a question, but for that its answer may come in pieces. */
  async function invoke({ capability, version, attributes, input, timeLimitMs, budgetUsd, priority }: Invocation, { principal, signal, onChunk }: InvokeOptions): Promise<Invoked> {
    const name = CapabilityName.safeParse(capability)
    if (!name.success) throw new MeshError('bad-request', `"${capability}" is not a capability name`, { next: 'name it like llm.chat' })
    if (phase !== 'running') throw new MeshError('owner-unreachable', 'the node is not running', { next: 'ask another node, or this one once it runs' })
    signal?.throwIfAborted()
    const asked = attributesOf(capability, input, attributes)
    const payload = await storePayload(ports.blobStore, input)
    const units = unitsOf(capability, input)
    // Digests of a very long conversation would keep everything else waiting.
    const prefixes = 'inline' in payload || payload.blob.sizeBytes <= prefixedBytesMax ? prefixesOf(capability, input) : []
    const by = `client/${++counter}`
    const missionId = newMissionId(principal, undefined, fingerprintOf(self), random.text(12))
    const ended = await new Promise<Extract<InvocationAnswer, { kind: 'invoke-done' }>>((resolve, reject) => {
      const finish = (): void => {
        detach()
        unanswered.delete(giveUp)
        signal?.removeEventListener('abort', abort)
      }
      const giveUp = (): void => {
        finish()
        reject(new MeshError('owner-unreachable', 'the node has stopped', { next: 'ask another node, or this one once it runs again' }))
      }
      const abort = (): void => {
        finish()
        toActor(actorNames.invoker, { kind: 'invoke-withdrawn', tag: by, reason: 'its caller has gone' }, by)
        reject(new MeshError('cancelled', 'nobody waits for it any more'))
      }
      const detach = system.attach(by, (message) => {
        if (message.kind === 'invoke-chunk') for (const chunk of message.chunks) onChunk?.(chunk)
        else if (message.kind === 'invoke-done') {
          finish()
          resolve(message)
        } else if (message.kind === 'invoke-failed') {
          finish()
          reject(MeshError.from(message.fault))
        }
      })
      unanswered.add(giveUp)
      signal?.addEventListener('abort', abort, { once: true })
      toActor(actorNames.invoker, {
        kind: 'invoke-asked', tag: by,
        invocation: {
          tag: by, capability: name.data, ...(version === undefined ? {} : { version }), ...(asked === undefined ? {} : { attributes: asked }), ...(units === undefined ? {} : { units }), prefixes, input: payload, missionId, taskId: 'root' as TaskId, principal, priority: priority ?? 5,
          timeLimitMs: timeLimitMs ?? limits.invocationTimeMsDefault, ...(budgetUsd === undefined ? {} : { budgetUsd }), key: missionId, streams: onChunk !== undefined,
        },
      }, by)
    })
    return { output: await loadPayload(ports.blobStore, ended.output, [ended.by.peer]), by: ended.by, stats: ended.stats }
  }

  /** Asked of those who offer it, the nearest first. */
  async function inputSchema(capability: string, version?: string): Promise<Json | undefined> {
    const offered = (await describe()).capabilities.find((one) => one.name === capability && (version === undefined || one.version === version))
    const providers = [...(offered?.providers ?? [])].map(({ peerId }) => peerId).filter((peer) => peer === self || connected.has(peer)).sort((left, right) => Number(right === self) - Number(left === self))
    for (const peer of providers.slice(0, 3)) {
      const answer = await question((name, requestId) => {
        const ask = { kind: 'describe-capability' as const, requestId: `${name} ${requestId}`, capability: capability as CapabilityName, ...(version === undefined ? {} : { version }) }
        if (peer === self) toActor(actorNames.participant, ask, name)
        else transport.send(peer, { to: actorNames.participant, from: name, message: ask })
      }, (message) => (message.kind === 'capability-described' ? { schema: message.inputSchema } : undefined), 5_000).catch(() => undefined)
      if (answer?.schema !== undefined) return answer.schema
    }
    return undefined
  }

  function describe(): Promise<Extract<ActorMessage, { kind: 'nodes-described' }>> {
    return question((name) => toActor(actorNames.directory, { kind: 'describe-nodes', replyTo: here(name) }, name), (message) => (message.kind === 'nodes-described' ? message : undefined), limits.askTimeoutMs)
  }

  const node: MeshNode = {
    self,
    name: options.name,
    start() {
      if (phase !== 'new') return
      phase = 'running'
      system.spawn(actorNames.root, erased(root({
        name: options.name, nodeName: options.name, release: options.release, duties: options.duties, addrs: options.addrs ?? (() => []), http: options.http ?? (() => undefined), capabilities: ports.skillRunner.capabilities(),
        slots: options.slots, refuseOnBattery: options.refuseOnBattery ?? false, nodesExpected: options.nodesExpected ?? 10, tuning, replica: options.duties.includes('replica'), founds: options.founds ?? false, domain: options.domain ?? options.name,
      })))
      for (const peer of transport.connectedPeers()) {
        connected.add(peer)
        system.deliver(actorNames.directory, { message: { kind: 'peer-up', peer }, from: here(actorNames.root) }, 'system')
      }
      system.attach('nodes/listener', () => {
        for (const watcher of nodeWatchers) watcher()
      })
      toActor(actorNames.directory, { kind: 'describe-nodes', replyTo: here('nodes/listener') }, 'nodes/listener')
    },
    async drain() {
      if (phase !== 'running') return
      phase = 'draining'
      toActor(actorNames.advertiser, { kind: 'drain' }, 'drain')
      await Promise.all([
        question((name) => toActor(actorNames.participant, { kind: 'drain' }, name), (message) => (message.kind === 'drained' ? true : undefined), tuning.drainMs + 2_000).catch(() => undefined),
        // Where too few would be left to decide, a spare votes first.
        question((name) => toActor(actorNames.logKeeper, { kind: 'leave' }, name), (message) => (message.kind === 'may-leave' ? true : undefined), tuning.drainMs).catch(() => undefined),
      ])
      // Whoever leads next begins at once, and not when silence tells.
      await question((name) => toActor(actorNames.logKeeper, { kind: 'hand-over' }, name), (message) => (message.kind === 'leads-nothing' ? true : undefined), tuning.electionMsMax).catch(() => undefined)
      for (const peer of connected) transport.send(peer, { to: actorNames.directory, from: actorNames.directory, message: { kind: 'goodbye', reason: 'the node is stopping' } })
    },
    stop() {
      if (phase === 'stopped') return
      phase = 'stopped'
      system.shutDown()
      for (const giveUp of [...unanswered]) giveUp()
    },
    async ask(operation, principal) {
      const parsed = MissionOperation.safeParse(operation)
      if (!parsed.success) throw new MeshError('bad-request', z.prettifyError(parsed.error))
      const answer = await question((name, requestId) => toActor(actorNames.missions, { kind: 'local-ask', requestId, principal, operation: parsed.data, replyTo: here(name) }, name), (message) => {
        if (message.kind !== 'local-answer') return undefined
        if (message.fault !== undefined) throw MeshError.from(message.fault)
        return { value: message.answer ?? null }
      }, operation.op === 'submit' ? limits.askTimeoutMs * 3 : limits.askTimeoutMs + 1_000)
      return operation.op === 'dead' && Array.isArray(answer.value) ? [...answer.value, ...lettersAsViews()] : answer.value
    },
    watch(missionId, fromIndex, _principal, listener) {
      counter += 1
      const listenerName = `listener/${counter}`
      const feedName = `feed/${counter}`
      const detach = system.attach(listenerName, (message) => {
        if (message.kind === 'watched') listener({ events: message.events, notes: message.notes, ...(message.resetTo === undefined ? {} : { resetTo: message.resetTo }), ...(message.fault === undefined ? {} : { fault: message.fault }) })
      })
      system.spawn(feedName, erased(feed(missionId, fromIndex, here(listenerName))))
      return () => {
        detach()
        if (system.exists(feedName)) toActor(feedName, { kind: 'drain' }, listenerName)
      }
    },
    dropLetter: (id) => deadLetters.drop(Number(/^letter-(\d+)$/.exec(id)?.[1])),
    invoke,
    inputSchema,
    nodes: async () => (await describe()).nodes,
    watchNodes(listener) {
      nodeWatchers.add(listener)
      return () => nodeWatchers.delete(listener)
    },
    capabilities: async () => (await describe()).capabilities,
    async askNode(peer, about) {
      if (peer === self) return report(about)
      if (!connected.has(peer)) throw MeshError.from(fault('owner-unreachable', `there is no connection to ${nameOf(await node.nodes(), peer)}`, { next: 'see why: skein doctor' }))
      const answer = await question((name, requestId) => transport.send(peer, { to: 'node-desk', from: name, message: { kind: 'node-ask', requestId, about } }), (message) => (message.kind === 'node-report' ? { report: message.report as Json } : undefined), 5_000)
      return answer.report
    },
    replication: () => question((name) => toActor(actorNames.missions, { kind: 'describe-replication', replyTo: here(name), replica: options.duties.includes('replica'), room: 'enough' }, name), (message) => (message.kind === 'replication-described' ? message.report : undefined), replicationTimeoutMs),
    readiness() {
      const reasons = phase === 'running' ? [] : [phase === 'draining' ? 'the node is stopping' : phase === 'new' ? 'the node is starting' : 'the node has stopped']
      return { ready: reasons.length === 0, reasons }
    },
    deadLetters: () => ({ count: deadLetters.count, recent: deadLetters.recent() }),
    get actorCount() {
      return system.actorCount
    },
    get mailboxMessagesMost() {
      return system.mailboxMessagesMost
    },
  }

  function lettersAsViews(): Json[] {
    const views: DeadView[] = deadLetters.recent().map((letter) => ({ id: `letter-${letter.number}`, kind: 'message' as const, atWallMs: letter.atWallMs, reason: `${letter.messageKind} from ${letter.from} to ${letter.to}: ${letter.reason}` }))
    return views as unknown as Json[]
  }

  return node
}

function nameOf(nodes: readonly NodeView[], peer: PeerId): string {
  return nodes.find((node) => node.peerId === peer)?.name ?? peer
}
