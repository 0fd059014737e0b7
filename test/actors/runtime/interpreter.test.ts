import { describe, expect, it } from 'vitest'
import type { ActorMessage } from '../../../actors/messages.ts'
import { erased, type Behaviour } from '../../../actors/runtime/actor.ts'
import type { Effect } from '../../../actors/runtime/effects.ts'
import { createInterpreter, type WorldPorts } from '../../../actors/runtime/interpreter.ts'
import { createActorSystem, type ActorSystem } from '../../../actors/runtime/system.ts'
import { createDeadLetters } from '../../../actors/runtime/dead-letters.ts'
import { createTimers } from '../../../actors/runtime/timers.ts'
import { fault, MeshError } from '../../../protocols/kernel/errors.ts'
import { digestOfText } from '../../../protocols/kernel/hashing.ts'
import type { AwardId, Digest, GroupId, Incarnation, MissionId, PeerId, Principal, TaskId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { chainOrigin } from '../../../protocols/replicated-log/chain.ts'
import type { EndedMission, LogHead } from '../../../protocols/replicated-log/schema.ts'
import type { Envelope } from '../../../protocols/wire.ts'
import { createVirtualBlobStore, createVirtualBlobSwarm } from '../../../sim/blob-store-virtual-adapter.ts'
import { createVirtualHardware } from '../../../sim/hardware-virtual-adapter.ts'
import { createVirtualIdentity, virtualPeerId } from '../../../sim/identity-virtual-adapter.ts'
import { createVirtualLogDisk, type VirtualLogDisk } from '../../../sim/log-store-virtual-adapter.ts'
import { createScriptedSkillRunner } from '../../../sim/skill-runner-scripted-adapter.ts'
import { createMemoryTelemetry } from '../../../sim/telemetry-memory-adapter.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'
import { capability, doubling } from '../virtual-missions.ts'

const principal = 'local' as Principal
const missionId = 'm-aaaaaaaa-bbbbbbbbbbbb' as MissionId
const stranger = virtualPeerId('stranger')

/** One actor, `asker`, that performs what it is given and writes down what it hears. */
async function world(overrides: Partial<WorldPorts> = {}) {
  const clock = createVirtualClock()
  const nodeClock = clock.clockFor('node')
  const identity = createVirtualIdentity('node')
  const swarm = createVirtualBlobSwarm()
  const disk = createVirtualLogDisk()
  const blobStore = createVirtualBlobStore({ self: identity.peerId, swarm })
  const telemetry = createMemoryTelemetry()
  const sent: { peer: PeerId; envelope: Envelope }[] = []
  const gossip: unknown[][] = []
  const gaveUp: string[] = []
  const skillRunner = createScriptedSkillRunner({ clock: nodeClock, skills: [doubling(100), { capability: capability('text.check'), run: () => ({ afterMs: 1 }), checkInput: (input) => (input === 'good' ? undefined : fault('bad-input', 'not good')) }] })
  const ports: WorldPorts = {
    clock: nodeClock, blobStore, telemetry, skillRunner, logStore: await disk.open(), hardware: createVirtualHardware(),
    transport: { send: (peer, envelope) => void sent.push({ peer, envelope }), onReceive: () => undefined, onPeer: () => undefined, onUndelivered: () => undefined, connectedPeers: () => [] },
    gossip: { publish: (topic, envelope) => void gossip.push(['publish', topic, envelope]), subscribe: (topic) => void gossip.push(['subscribe', topic]), unsubscribe: (topic) => void gossip.push(['unsubscribe', topic]), onGossip: () => undefined },
    discovery: { provide: (keys) => void gossip.push(['provide', ...keys]), findProviders: async () => [stranger] },
    giveUp: (reason) => void gaveUp.push(reason),
    ...overrides,
  }
  const timers = createTimers(nodeClock)
  const deadLetters = createDeadLetters()
  const perform = createInterpreter(ports, () => system, timers)
  const system: ActorSystem = createActorSystem({ clock: nodeClock, identity, random: seededRandom([1, 1]), deadLetters, connected: () => false, perform, onStopped: (name) => timers.clearAll(name) })
  const heard: ActorMessage[] = []
  const asker: Behaviour<null> = {
    kind: 'asker',
    supervision: 'stop',
    start: () => ({ state: null, effects: [] }),
    receive: (_state, { message }) => {
      heard.push(message)
      return []
    },
  }
  system.spawn('asker', erased(asker))
  const by = { peer: identity.peerId, actor: 'asker' }
  return {
    clock, system, heard, sent, gossip, gaveUp, telemetry, deadLetters, swarm, disk, skillRunner, blobStore, self: identity.peerId,
    async perform(...effects: Effect[]) {
      for (const effect of effects) perform(effect, by)
      await clock.settle()
      return heard.splice(0)
    },
  }
}

const head: LogHead = { group: missionId, incarnation: 'life' as Incarnation, epoch: { lineage: 1, term: 1 }, last: { index: 0, chain: chainOrigin }, commit: 0 }
const ended: EndedMission = { missionId: 'm-eeeeeeee-bbbbbbbbbbbb' as MissionId, endedAtWallMs: 5, keptUntilWallMs: 50, archive: { inline: 'all of it' }, cites: [], members: [], view: { state: 'completed' } }

/** As the next life of the process would find it. */
function reopened(disk: VirtualLogDisk) {
  disk.kill()
  return disk.open()
}

describe('the interpreter', () => {
  it('tells an actor of this node in the next turn, one of another over the wire', async () => {
    const { perform, self, sent, telemetry } = await world()
    expect(await perform({ type: 'tell', to: { peer: self, actor: 'asker' }, message: { kind: 'drain' }, principal })).toEqual([{ kind: 'drain' }])
    const message = { kind: 'acknowledge' as const, awardIds: ['award' as AwardId] }
    expect(await perform({ type: 'tell', to: { peer: stranger, actor: 'award/x' }, message, principal })).toEqual([])
    expect(sent).toEqual([{ peer: stranger, envelope: { to: 'award/x', from: 'asker', principal, message } }])
    // What is this node's own business never leaves it.
    await perform({ type: 'tell', to: { peer: stranger, actor: 'x' }, message: { kind: 'drain' } })
    expect(sent).toHaveLength(1)
    expect(telemetry.named('actor.local-message-to-remote')).toHaveLength(1)
  })

  it('publishes, subscribes and provides', async () => {
    const { perform, gossip } = await world()
    const message = { kind: 'advert-request' } as const
    await perform({ type: 'subscribe', topic: 't' }, { type: 'publish', topic: 't', to: 'directory', message }, { type: 'unsubscribe', topic: 't' }, { type: 'provide', keys: ['k1', 'k2'] })
    expect(gossip).toEqual([['subscribe', 't'], ['publish', 't', { to: 'directory', from: 'asker', message }], ['unsubscribe', 't'], ['provide', 'k1', 'k2']])
  })

  it('sets and clears timers', async () => {
    const { perform, clock, heard } = await world()
    await perform({ type: 'set-timer', key: 'a', delayMs: 10, message: { kind: 'tick', what: 'a' } }, { type: 'set-timer', key: 'b', delayMs: 10, message: { kind: 'tick', what: 'b' } }, { type: 'clear-timer', key: 'b' })
    await clock.runFor(20)
    expect(heard).toEqual([{ kind: 'tick', what: 'a' }])
  })

  it('writes and opens the log, reads what has ended, and says when it cannot', async () => {
    const { perform, disk } = await world()
    expect(await perform({ type: 'write-log', batch: { writes: [{ head, entries: [] }], ended: [ended] }, tag: 'w' })).toEqual([{ kind: 'log-written', tag: 'w' }])
    expect(await perform({ type: 'read-ended', which: { missionId: ended.missionId }, tag: 'e' })).toEqual([{ kind: 'ended-read', tag: 'e', ended: [ended] }])
    expect(await perform({ type: 'read-ended', which: { missionId }, tag: 'e' })).toEqual([{ kind: 'ended-read', tag: 'e', ended: [] }])
    expect(await perform({ type: 'read-ended', which: { beforeWallMs: 6, max: 9 }, tag: 'e' })).toEqual([{ kind: 'ended-read', tag: 'e', ended: [ended] }])
    expect(await perform({ type: 'read-ended', which: { keptUntilWallMs: 49, max: 9 }, tag: 'e' })).toEqual([{ kind: 'ended-read', tag: 'e', ended: [] }])
    const former = { group: missionId, sinceWallMs: 1, untilWallMs: 2 }
    await perform({ type: 'write-log', batch: { writes: [], former: [former] }, tag: 'f' })
    expect(await perform({ type: 'recall-group', group: missionId })).toEqual([{ kind: 'group-recalled', group: missionId, former }])
    expect(await perform({ type: 'recall-group', group: ended.missionId })).toEqual([{ kind: 'group-recalled', group: ended.missionId, ended }])
    expect(await perform({ type: 'recall-group', group: 'roster' as GroupId })).toEqual([{ kind: 'group-recalled', group: 'roster' }])
    disk.failWrites(1)
    expect(await perform({ type: 'write-log', batch: { writes: [{ head, entries: [] }] }, tag: 'w2' })).toMatchObject([{ kind: 'log-written', tag: 'w2', fault: { code: 'storage-failed' } }])
    const again = await world({ logStore: await reopened(disk) })
    expect(await again.perform({ type: 'open-log', tag: 'o' })).toMatchObject([{ kind: 'log-opened', tag: 'o', found: { groups: [{ head, entries: [] }] } }])
    disk.crash()
    const [closed] = await again.perform({ type: 'open-log', tag: 'o2' })
    expect(closed).toMatchObject({ kind: 'log-opened', fault: { code: 'wrong-state' } })
    expect(closed).not.toHaveProperty('found')
    expect(await again.perform({ type: 'read-ended', which: { missionId: ended.missionId }, tag: 'e2' })).toMatchObject([{ kind: 'ended-read', ended: [], fault: { code: 'wrong-state' } }])
  })

  it('stores values inline while they are small, as blobs beyond, and loads both', async () => {
    const { perform } = await world()
    for (const value of [{ a: [1, 'two', null] }, 'x'.repeat(limits.payloadInlineBytesMax - 2), 'é'.repeat(limits.payloadInlineBytesMax), null] as Json[]) {
      const [stored] = await perform({ type: 'store-value', value, tag: 's' })
      if (stored?.kind !== 'value-stored' || stored.payload === undefined) throw new Error(JSON.stringify(stored))
      expect('inline' in stored.payload).toBe(new TextEncoder().encode(JSON.stringify(value)).byteLength <= limits.payloadInlineBytesMax)
      expect(await perform({ type: 'load-value', payload: stored.payload, alsoTry: [], tag: 'l' })).toEqual([{ kind: 'value-loaded', tag: 'l', value }])
    }
  })

  it('fetches blobs from whoever has them, and says which nobody has', async () => {
    const { perform, swarm, blobStore } = await world()
    const refs = await Promise.all(Array.from({ length: 20 }, (_, i) => createVirtualBlobStore({ self: stranger, swarm }).put(new TextEncoder().encode(`"content ${i}"`))))
    expect(await perform({ type: 'fetch-blobs', refs: refs.map(({ $blob, sizeBytes }) => ({ $blob, sizeBytes })), alsoTry: [stranger], tag: 'f' })).toEqual([{ kind: 'blobs-fetched', tag: 'f' }])
    for (const { $blob } of refs) expect(await blobStore.has($blob)).toBe(true)
    const missing = { $blob: digestOfText('nowhere'), sizeBytes: 3 }
    expect(await perform({ type: 'fetch-blobs', refs: [missing], alsoTry: [stranger], tag: 'f2' })).toMatchObject([{ kind: 'blobs-fetched', tag: 'f2', fault: { code: 'unknown-blob' } }])
    expect(await perform({ type: 'load-value', payload: { blob: missing }, alsoTry: [], tag: 'l' })).toMatchObject([{ kind: 'value-loaded', fault: { code: 'unknown-blob' } }])
  })

  it('content that is no JSON is a fault, not an exception', async () => {
    const { perform, blobStore } = await world()
    const blob = await blobStore.put(new TextEncoder().encode('{ not json'))
    expect(await perform({ type: 'load-value', payload: { blob }, alsoTry: [], tag: 'l' })).toMatchObject([{ kind: 'value-loaded', tag: 'l', fault: { retryable: false } }])
  })

  it('checks inputs, runs skills and stops them', async () => {
    const { perform, clock, heard, skillRunner } = await world()
    expect(await perform({ type: 'check-input', capability: 'text.check', version: undefined, input: 'good', tag: 'c' })).toEqual([{ kind: 'input-checked', tag: 'c' }])
    expect(await perform({ type: 'check-input', capability: 'text.check', version: undefined, input: 'bad', tag: 'c' })).toMatchObject([{ kind: 'input-checked', fault: { code: 'bad-input' } }])
    const run = { runId: 'r1', capability: 'number.double', version: '1.0', step: 'run' as const, input: { inline: { value: 4 } }, principal, missionId, taskId: 'root/x', attempt: 1, timeLimitMs: 1_000 }
    await perform({ type: 'start-skill', run })
    // The same run again is a fault of its own, and no exception.
    expect(await perform({ type: 'start-skill', run })).toMatchObject([{ kind: 'skill-event', runId: 'r1', event: { type: 'failed' } }])
    await clock.runFor(200)
    expect(heard.splice(0)).toMatchObject([{ kind: 'skill-event', runId: 'r1', event: { type: 'started' } }, { kind: 'skill-event', event: { type: 'done', output: { inline: 8 } } }])
    await perform({ type: 'start-skill', run: { ...run, runId: 'r2' } })
    await clock.runFor(10)
    await perform({ type: 'stop-skill', runId: 'r2', why: fault('cancelled', 'enough') })
    await clock.runFor(10)
    expect(heard.at(-1)).toMatchObject({ kind: 'skill-event', runId: 'r2', event: { type: 'failed', fault: { code: 'cancelled' } } })
    expect(skillRunner.running()).toEqual([])
  })

  it('whoever has ended hears nothing any more, and that is no dead letter', async () => {
    const { perform, clock, system, heard, deadLetters } = await world()
    const run = { runId: 'r1', capability: 'number.double', version: '1.0', step: 'run' as const, input: { inline: { value: 4 } }, principal, missionId, taskId: 'root/x', attempt: 1, timeLimitMs: 1_000 }
    await perform({ type: 'start-skill', run }, { type: 'set-timer', key: 't', delayMs: 5, message: { kind: 'tick' } })
    const reading = perform({ type: 'read-ended', which: { missionId }, tag: 'r' })
    system.stop('asker')
    await reading
    await clock.runFor(300)
    expect(heard).toEqual([])
    expect(deadLetters.count).toBe(0)
  })

  it('looks for providers and samples the hardware; what fails is an empty answer or a message', async () => {
    const { perform } = await world()
    expect(await perform({ type: 'find-providers', key: 'k', max: 5, timeoutMs: 10, tag: 'p' })).toEqual([{ kind: 'providers-found', tag: 'p', peers: [stranger] }])
    expect(await perform({ type: 'sample-hardware' })).toMatchObject([{ kind: 'hardware-sampled', sample: { environment: { cores: expect.any(Number) } } }])
    const broken = await world({
      discovery: { provide: () => undefined, findProviders: async () => { throw new Error('no network') } },
      hardware: { sample: async () => { throw new Error('no sensor') } },
    })
    expect(await broken.perform({ type: 'find-providers', key: 'k', max: 5, timeoutMs: 10, tag: 'p' })).toEqual([{ kind: 'providers-found', tag: 'p', peers: [] }])
    expect(await broken.perform({ type: 'sample-hardware' })).toMatchObject([{ kind: 'child-failed', name: 'hardware' }])
  })

  it('tells what is idle, what actors hold, and since when the oldest skill runs that runs still', async () => {
    const { perform, blobStore, system, clock } = await world()
    const { $blob } = await blobStore.put(Uint8Array.of(1, 2))
    expect(await perform({ type: 'find-idle-blobs', idleForMs: 0, max: 5, tag: 'i' })).toEqual([{ kind: 'idle-blobs-found', tag: 'i', blobs: [{ digest: $blob, sizeBytes: 2, usedAtMs: 0 }] }])
    expect(await perform({ type: 'find-held', tag: 'h' })).toEqual([{ kind: 'held-found', tag: 'h', refs: [] }])
    const holding: Behaviour<{ input: Json }> = { kind: 'holding', supervision: 'stop', start: () => ({ state: { input: { deep: [{ $blob, sizeBytes: 2 }] } }, effects: [] }), receive: () => [], holds: ({ input }) => [input] }
    system.spawn('holding', erased(holding))
    await clock.runFor(7)
    const run = (runId: string): Effect => ({ type: 'start-skill', run: { runId, capability: 'number.double', version: '1.0', step: 'run', input: { inline: { value: 2 } }, principal: 'local' as Principal, missionId, taskId: 'root/x' as TaskId, attempt: 1, timeLimitMs: 1_000 } })
    await perform(run('one'))
    await clock.runFor(3)
    await perform(run('two'))
    expect(await perform({ type: 'find-held', tag: 'h' })).toEqual([{ kind: 'held-found', tag: 'h', refs: [{ $blob, sizeBytes: 2 }], runningSinceMs: 7 }])
    expect(await perform({ type: 'stop-skill', runId: 'one', why: fault('cancelled', 'enough') }, { type: 'find-held', tag: 'h' })).toContainEqual({ kind: 'held-found', tag: 'h', refs: [{ $blob, sizeBytes: 2 }], runningSinceMs: 10 })
    await clock.runFor(2_000)
    expect(await perform({ type: 'find-held', tag: 'h' })).toContainEqual({ kind: 'held-found', tag: 'h', refs: [{ $blob, sizeBytes: 2 }] })
  })

  it('a value that is to be read here is not fetched', async () => {
    const { perform, blobStore, swarm } = await world()
    const elsewhere = await createVirtualBlobStore({ self: stranger, swarm }).put(new TextEncoder().encode('"there"'))
    expect(await perform({ type: 'load-value', payload: { blob: elsewhere }, alsoTry: [], onlyHere: true, tag: 'l' })).toEqual([{ kind: 'value-loaded', tag: 'l' }])
    expect(await blobStore.has(elsewhere.$blob)).toBe(false)
    await blobStore.put(new TextEncoder().encode('"there"'))
    expect(await perform({ type: 'load-value', payload: { blob: elsewhere }, alsoTry: [], onlyHere: true, tag: 'l' })).toEqual([{ kind: 'value-loaded', tag: 'l', value: 'there' }])
  })

  it('a full blob store is said so', async () => {
    const { perform } = await world({ blobStore: { has: async () => false, put: async () => { throw new MeshError('storage-failed', 'full') }, get: async () => undefined, fetch: async () => undefined, remove: async () => [], idle: async () => [], onRoomWanted: () => undefined } })
    expect(await perform({ type: 'store-value', value: 'x'.repeat(100_000), tag: 's' })).toMatchObject([{ kind: 'value-stored', tag: 's', fault: { code: 'storage-failed', detail: 'full' } }])
    expect(await perform({ type: 'load-value', payload: { blob: { $blob: '0'.repeat(64) as Digest, sizeBytes: 1 } }, alsoTry: [], tag: 'l' })).toMatchObject([{ kind: 'value-loaded', fault: { code: 'unknown-blob' } }])
  })

  it('records facts and gives up', async () => {
    const { perform, telemetry, gaveUp } = await world()
    await perform({ type: 'fact', fact: { name: 'a.b', level: 'info', fields: { n: 1 } } }, { type: 'give-up', reason: 'the disk is gone' })
    expect(telemetry.facts).toEqual([{ name: 'a.b', level: 'info', fields: { n: 1 } }])
    expect(gaveUp).toEqual(['the disk is gone'])
  })
})
