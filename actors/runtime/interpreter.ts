/** Performs effects through the ports. The only place where actors meet the world; every outcome goes back as a message. */
import { fault, toFault } from '../../protocols/kernel/errors.ts'
import { isMissionGroup, type ActorAddress, type GroupId, type PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { blobRefsIn, type BlobRef, type Json } from '../../protocols/kernel/payload.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import type { EndedMission } from '../../protocols/replicated-log/schema.ts'
import { Message } from '../../protocols/wire.ts'
import type { EffectOutcome, LocalMessage } from '../messages.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { Discovery } from '../ports/discovery.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { Hardware } from '../ports/hardware.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { SkillRun, SkillRunEvent, SkillRunner } from '../ports/skill-runner.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Transport } from '../ports/transport.ts'
import type { Effect } from './effects.ts'
import { loadPayload, storePayload } from './payloads.ts'
import type { ActorSystem } from './system.ts'
import type { Timers } from './timers.ts'

export interface WorldPorts {
  readonly clock: Clock
  readonly transport: Transport
  readonly gossip: Gossip
  readonly discovery: Discovery
  readonly logStore: LogStore
  readonly blobStore: BlobStore
  readonly skillRunner: SkillRunner
  readonly hardware: Hardware
  readonly telemetry: Telemetry
  /** Called once, when the node's state can no longer be trusted (a failed sync). */
  giveUp(reason: string): void
}

const wireKinds: ReadonlySet<string> = new Set(Message.options.map((option) => option.shape.kind.value))

/** @returns what performs one effect on behalf of one actor. Never throws; a failed effect is a message with a fault. */
export function createInterpreter(ports: WorldPorts, system: () => ActorSystem, timers: Timers): (effect: Effect, by: ActorAddress) => void {
  /** Since when each skill runs, in the order of their starts. */
  const running = new Map<string, InstantMs>()

  function back(by: ActorAddress, message: LocalMessage): void {
    system().deliver(by.actor, { message, from: by }, 'system')
  }

  function after<T>(by: ActorAddress, work: Promise<T>, done: (value: T) => LocalMessage, failed: (thrown: unknown) => LocalMessage): void {
    // Whoever has ended meanwhile waits for nothing.
    const tell = (message: LocalMessage): void => {
      if (system().exists(by.actor)) back(by, message)
    }
    work.then(
      (value) => tell(done(value)),
      (thrown: unknown) => tell(failed(thrown)),
    )
  }

  async function load({ payload, alsoTry, onlyHere = false }: Extract<Effect, { type: 'load-value' }>): Promise<Json | undefined> {
    if (!onlyHere || 'inline' in payload) return loadPayload(ports.blobStore, payload, alsoTry)
    const bytes = await ports.blobStore.get(payload.blob.$blob)
    return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as Json)
  }

  async function readEnded(which: Extract<Effect, { type: 'read-ended' }>['which']): Promise<readonly EndedMission[]> {
    if ('missionId' in which) {
      const found = await ports.logStore.endedMission(which.missionId)
      return found === undefined ? [] : [found]
    }
    return 'beforeWallMs' in which ? await ports.logStore.ended(which.beforeWallMs, which.max) : await ports.logStore.endedUntil(which.keptUntilWallMs, which.max)
  }

  async function recall(group: GroupId): Promise<Omit<Extract<EffectOutcome, { kind: 'group-recalled' }>, 'kind' | 'group'>> {
    const ended = isMissionGroup(group) ? await ports.logStore.endedMission(group) : undefined
    const former = await ports.logStore.formerCopy(group)
    return { ...(ended === undefined ? {} : { ended }), ...(former === undefined ? {} : { former }) }
  }

  async function fetchAll(refs: readonly BlobRef[], alsoTry: readonly PeerId[]): Promise<void> {
    const pending = [...refs]
    const workers = Array.from({ length: Math.min(limits.blobFetchConcurrencyMax, pending.length) }, async () => {
      for (let ref = pending.shift(); ref !== undefined; ref = pending.shift()) await ports.blobStore.fetch(ref, alsoTry)
    })
    await Promise.all(workers)
  }

  function startSkill(run: SkillRun, by: ActorAddress): void {
    running.set(run.runId, ports.clock.monotonicMs())
    const tell = (event: SkillRunEvent): void => {
      if (event.type === 'done' || event.type === 'failed') running.delete(run.runId)
      // Whoever ended while its skill ran has stopped it, and waits for no last word.
      if (system().exists(by.actor)) back(by, { kind: 'skill-event', runId: run.runId, event })
    }
    try {
      ports.skillRunner.start(run, tell)
    } catch (thrown) {
      tell({ type: 'failed', fault: toFault(thrown, 'skill-failed'), stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } })
    }
  }

  return (effect, by) => {
    switch (effect.type) {
      case 'tell':
        if (effect.to.peer === system().self) {
          system().deliver(effect.to.actor, { message: effect.message, from: by, ...(effect.principal === undefined ? {} : { principal: effect.principal }) })
        } else if (wireKinds.has(effect.message.kind)) {
          ports.transport.send(effect.to.peer, { to: effect.to.actor, from: by.actor, message: effect.message as Message, ...(effect.principal === undefined ? {} : { principal: effect.principal }) })
        } else {
          ports.telemetry.record({ level: 'error', name: 'actor.local-message-to-remote', fields: { kind: effect.message.kind, by: by.actor, to: effect.to.actor } })
        }
        return
      case 'publish':
        ports.gossip.publish(effect.topic, { to: effect.to, from: by.actor, message: effect.message, ...(effect.principal === undefined ? {} : { principal: effect.principal }) })
        return
      case 'subscribe':
        ports.gossip.subscribe(effect.topic)
        return
      case 'unsubscribe':
        ports.gossip.unsubscribe(effect.topic)
        return
      case 'set-timer':
        timers.set(by.actor, effect.key, effect.delayMs, () => back(by, effect.message))
        return
      case 'clear-timer':
        timers.clear(by.actor, effect.key)
        return
      case 'write-log':
        after(by, ports.logStore.write(effect.batch), () => ({ kind: 'log-written', tag: effect.tag }), (thrown) => ({ kind: 'log-written', tag: effect.tag, fault: toFault(thrown, 'storage-failed') }))
        return
      case 'open-log':
        after(by, ports.logStore.found(), (found) => ({ kind: 'log-opened', tag: effect.tag, found }), (thrown) => ({ kind: 'log-opened', tag: effect.tag, fault: toFault(thrown, 'storage-failed') }))
        return
      case 'look-for-room':
        after(by, ports.logStore.room(), (room) => ({ kind: 'room-looked', tag: effect.tag, room }), () => ({ kind: 'room-looked', tag: effect.tag, room: 'enough' }))
        return
      case 'read-ended':
        after(by, readEnded(effect.which), (ended) => ({ kind: 'ended-read', tag: effect.tag, ended }), (thrown) => ({ kind: 'ended-read', tag: effect.tag, ended: [], fault: toFault(thrown, 'storage-failed') }))
        return
      case 'recall-group':
        after(by, recall(effect.group), (found) => ({ kind: 'group-recalled', group: effect.group, ...found }), (thrown) => ({ kind: 'group-recalled', group: effect.group, fault: toFault(thrown, 'storage-failed') }))
        return
      case 'remove-blobs':
        after(by, ports.blobStore.remove(effect.digests, effect.idleForMs), (kept) => ({ kind: 'blobs-removed', tag: effect.tag, kept }), (thrown) => ({ kind: 'blobs-removed', tag: effect.tag, kept: [], fault: toFault(thrown, 'storage-failed') }))
        return
      case 'find-idle-blobs':
        after(by, ports.blobStore.idle(effect.idleForMs, effect.max, effect.after), (blobs) => ({ kind: 'idle-blobs-found', tag: effect.tag, blobs }), (thrown) => ({ kind: 'idle-blobs-found', tag: effect.tag, blobs: [], fault: toFault(thrown, 'storage-failed') }))
        return
      case 'find-held': {
        const [oldestMs] = running.values()
        back(by, { kind: 'held-found', tag: effect.tag, refs: blobRefsIn(system().held()), ...(oldestMs === undefined ? {} : { runningSinceMs: oldestMs }) })
        return
      }
      case 'load-value':
        after(by, load(effect), (value) => ({ kind: 'value-loaded', tag: effect.tag, ...(value === undefined ? {} : { value }) }), (thrown) => ({ kind: 'value-loaded', tag: effect.tag, fault: toFault(thrown, 'unknown-blob') }))
        return
      case 'store-value':
        after(by, storePayload(ports.blobStore, effect.value), (payload) => ({ kind: 'value-stored', tag: effect.tag, payload }), (thrown) => ({ kind: 'value-stored', tag: effect.tag, fault: toFault(thrown, 'storage-failed') }))
        return
      case 'fetch-blobs':
        after(by, fetchAll(effect.refs, effect.alsoTry), () => ({ kind: 'blobs-fetched', tag: effect.tag }), (thrown) => ({ kind: 'blobs-fetched', tag: effect.tag, fault: toFault(thrown, 'unknown-blob') }))
        return
      case 'check-input': {
        const problem = ports.skillRunner.checkInput(effect.capability, effect.version, effect.input)
        back(by, { kind: 'input-checked', tag: effect.tag, ...(problem === undefined ? {} : { fault: problem }) })
        return
      }
      case 'start-skill':
        startSkill(effect.run, by)
        return
      case 'stop-skill':
        running.delete(effect.runId)
        ports.skillRunner.stop(effect.runId, effect.why)
        return
      case 'answer-call':
        ports.skillRunner.answerCall(effect.runId, effect.callNumber, effect.event)
        return
      case 'tell-committed':
        ports.skillRunner.checkpointCommitted(effect.runId, effect.number, effect.problem)
        return
      case 'describe-skill': {
        const inputSchema = ports.skillRunner.inputSchema(effect.capability, effect.version)
        back(by, { kind: 'skill-described', tag: effect.tag, ...(inputSchema === undefined ? {} : { inputSchema }) })
        return
      }
      case 'provide':
        ports.discovery.provide(effect.keys)
        return
      case 'find-providers':
        after(by, ports.discovery.findProviders(effect.key, effect.max, effect.timeoutMs), (peers) => ({ kind: 'providers-found', tag: effect.tag, peers }), () => ({ kind: 'providers-found', tag: effect.tag, peers: [] }))
        return
      case 'sample-hardware':
        after(by, ports.hardware.sample(), (sample) => ({ kind: 'hardware-sampled', sample }), (thrown) => ({ kind: 'child-failed', name: 'hardware', reason: fault('internal', String(thrown)).detail }))
        return
      case 'fact':
        ports.telemetry.record(effect.fact)
        return
      case 'give-up':
        ports.giveUp(effect.reason)
        return
      case 'spawn':
      case 'stop-self':
      case 'dead-letter':
        // The actor system's own.
        return
    }
  }
}
