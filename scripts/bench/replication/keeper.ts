/**
 * A process that keeps logs and nothing else: the real host, store and log-keeper, with the benchmark in the place of the hosts.
 * It is asked over IPC (`keeper-ask.ts`) by `groups.ts`.
 */
import { hash, randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { LogMessage } from '../../../actors/messages.ts'
import { actorNames, at } from '../../../actors/names.ts'
import { createDeadLetters } from '../../../actors/runtime/dead-letters.ts'
import { createInterpreter, type WorldPorts } from '../../../actors/runtime/interpreter.ts'
import { createActorSystem, type ActorSystem } from '../../../actors/runtime/system.ts'
import { createTimers } from '../../../actors/runtime/timers.ts'
import { defaultTuning } from '../../../actors/tuning.ts'
import { loadIdentityKey, openNodeDatastore } from '../../../node/identity.ts'
import { createHost, type Host } from '../../../node/libp2p/host.ts'
import { openFileBlobStore } from '../../../node/storage/blob-store-file-adapter.ts'
import { openLevelLogStore } from '../../../node/storage/log-store-level-adapter.ts'
import type { Epoch, GroupId, PeerId, Principal } from '../../../protocols/kernel/ids.ts'
import { lendSha256 } from '../../../protocols/kernel/hashing.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { extend, positionOf } from '../../../protocols/replicated-log/chain.ts'
import type { LogPosition, LogRecord } from '../../../protocols/replicated-log/schema.ts'
import { levelRate } from './disk.ts'
import { until } from './figures.ts'
import type { KeeperAnswers, KeeperAsk, KeeperReply } from './keeper-ask.ts'
import { spawnLogKeeper } from './log-keeper-spawn.ts'

// As `node/main.ts` does.
lendSha256((of) => hash('sha256', of))

const quietMs = 100

interface Led {
  readonly epoch: Epoch
  head: LogPosition
}

interface Keeper {
  readonly self: PeerId
  readonly host: Host
  readonly incarnation: string
  readonly led: ReadonlyMap<GroupId, Led>
  tell(message: LogMessage): void
  /** Resolves once committed. */
  append(group: GroupId, events: readonly LogRecord[]): Promise<void>
  stop(): Promise<void>
}

async function startKeeper({ dataDir, meshKey, groupPulseMs }: Extract<KeeperAsk, { op: 'start' }>): Promise<Keeper> {
  await mkdir(join(dataDir, 'log'), { recursive: true })
  const datastore = await openNodeDatastore(dataDir)
  const privateKey = await loadIdentityKey(datastore)
  const self = peerIdFromPrivateKey(privateKey).toString() as PeerId
  const telemetry = { record: ({ level, name, fields }: { level: string; name: string; fields?: unknown }) => void (level === 'error' && console.error(name, fields)) }
  const logStore = await openLevelLogStore(join(dataDir, 'log'))
  const host = await createHost({ privateKey, meshKey, telemetry, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false })
  const blobStore = await openFileBlobStore({ directory: join(dataDir, 'blobs'), self, quotaBytes: 2 ** 30, fetchFrom: (peer, digest, options) => host.blobs.fetch(peer, digest, options), connectedPeers: () => host.transport.connectedPeers(), onHolderFailed: () => undefined })
  const clock: WorldPorts['clock'] = {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    schedule(delayMs, callback) {
      const timer = setTimeout(callback, delayMs)
      return () => clearTimeout(timer)
    },
    soon: (callback) => queueMicrotask(callback),
  }
  const idle = { capabilities: () => [], onCapabilitiesChanged: () => undefined, timeLimitMs: () => 0, checkInput: () => undefined, inputSchema: () => undefined, answerCall: () => undefined, checkpointCommitted: () => undefined, onMeasured: () => undefined, start: () => undefined, stop: () => undefined }
  const ports: WorldPorts = {
    clock, transport: host.transport, gossip: host.gossip, discovery: host.discovery, logStore, blobStore, telemetry, skillRunner: idle,
    hardware: { sample: () => new Promise(() => undefined) },
    giveUp(reason) {
      console.error(`a keeper gave up: ${reason}`)
      process.exit(1)
    },
  }
  const connected = new Set<PeerId>()
  const timers = createTimers(clock)
  const perform = createInterpreter(ports, () => system, timers)
  const system: ActorSystem = createActorSystem({
    clock, identity: host.identity, random: seededRandom([randomBytes(4).readUInt32LE(), randomBytes(4).readUInt32LE()]), deadLetters: createDeadLetters(),
    connected: (peer) => peer === self || connected.has(peer), perform, onStopped: (name) => timers.clearAll(name),
  })
  const from = at(self, actorNames.missions)
  const tell = (message: LogMessage): void => system.deliver(actorNames.logKeeper, { message, from })

  const led = new Map<GroupId, Led>()
  const waiting = new Map<string, { done(): void; failed(error: Error): void }>()
  let incarnation: string | undefined
  system.attach(actorNames.missions, (message) => {
    if (message.kind === 'groups-opened') incarnation = message.incarnation
    if (message.kind === 'group-led') {
      const last = message.entries.at(-1)
      if (last !== undefined) led.set(message.group, { epoch: message.epoch, head: positionOf(last) })
    }
    if (message.kind === 'group-followed') led.delete(message.group)
    if (message.kind === 'appended') {
      const asker = waiting.get(message.tag)
      waiting.delete(message.tag)
      if (message.fault === undefined) asker?.done()
      else asker?.failed(new Error(message.fault.detail))
    }
  })
  for (const name of [actorNames.roster, actorNames.registrar, actorNames.root]) {
    system.attach(name, (message) => {
      if (message.kind === 'child-failed') ports.giveUp(message.reason)
    })
  }
  // In the directory's place: whoever wants to hear of peers is the log-keeper.
  const tellPeer = (kind: 'peer-up' | 'peer-down', peer: PeerId): void => system.deliver(actorNames.logKeeper, { message: { kind, peer }, from: at(self, actorNames.directory) }, 'system')
  system.attach(actorNames.directory, (message) => {
    if (message.kind === 'watch-peers') for (const peer of connected) tellPeer('peer-up', peer)
  })
  host.transport.onReceive(({ peer, envelope }) => system.deliver(envelope.to, { message: envelope.message, from: at(peer, envelope.from) }))
  host.transport.onPeer((peer, state) => {
    if (state === 'up') connected.add(peer)
    else connected.delete(peer)
    tellPeer(state === 'up' ? 'peer-up' : 'peer-down', peer)
  })
  spawnLogKeeper(system, { ...defaultTuning, ...(groupPulseMs === undefined ? {} : { groupPulseMs }) })
  await until('that the store is open', () => incarnation)

  let appends = 0
  return {
    self, host, led, tell,
    incarnation: incarnation ?? '',
    append(group, events) {
      const own = led.get(group)
      if (own === undefined) return Promise.reject(new Error(`${group} is not led here`))
      const entries = extend(own.head, own.epoch, events)
      const last = entries.at(-1)
      if (last !== undefined) own.head = positionOf(last)
      const tag = `append-${++appends}`
      return new Promise((done, failed) => {
        waiting.set(tag, { done, failed })
        tell({ kind: 'append', tag, group, entries })
      })
    },
    async stop() {
      system.shutDown()
      await host.stop()
      await blobStore.close()
      await logStore.close()
      await datastore.close()
    },
  }
}

/** As large as an award is in a mission's log, roughly. */
function anEvent(): LogRecord {
  return { type: 'cancel-requested', atWallMs: Date.now(), by: 'bench' as Principal, reason: 'x'.repeat(200) }
}

let keeper: Keeper | undefined
let dataDir = ''

const answers: { [Op in KeeperAsk['op']]: (ask: Extract<KeeperAsk, { op: Op }>) => Promise<KeeperAnswers[Op]> } = {
  async start(ask) {
    dataDir = ask.dataDir
    keeper = await startKeeper(ask)
    return { member: { peer: keeper.self, incarnation: keeper.incarnation as KeeperAnswers['start']['member']['incarnation'] }, addrs: keeper.host.addrs() }
  },
  async connect({ addrs, peers }) {
    const { host } = running()
    for (const addr of addrs) await host.dial(addr)
    await until('that the keepers are connected', () => peers.every((peer) => host.transport.connectedPeers().includes(peer)) || undefined)
    return {}
  },
  disk: async ({ batchRecords, seconds }) => ({ recordsPerSecond: await levelRate(dataDir, batchRecords, seconds) }),
  async found({ groups, members }) {
    const own = running()
    for (const group of groups) own.tell({ kind: 'found-group', group, membership: { voters: [...members], learners: [] }, durable: true, aimed: members.length })
    await until('that the groups are led', () => groups.every((group) => own.led.has(group)) || undefined)
    await Promise.all(groups.map((group) => own.append(group, [anEvent()])))
    return {}
  },
  async 'commit-one-by-one'({ group, count }) {
    const own = running()
    const timesMs: number[] = []
    for (let done = 0; done < count; done++) {
      const startedAtMs = performance.now()
      await own.append(group, [anEvent()])
      timesMs.push(performance.now() - startedAtMs)
    }
    return { timesMs }
  },
  async load({ seconds, entriesPerAppend }) {
    const own = running()
    const startedAtMs = performance.now()
    const countedFromMs = startedAtMs + 1_000
    const untilMs = countedFromMs + seconds * 1_000
    const timesMs: number[] = []
    let entries = 0
    await Promise.all([...own.led.keys()].map(async (group) => {
      while (performance.now() < untilMs) {
        const sentAtMs = performance.now()
        await own.append(group, Array.from({ length: entriesPerAppend }, anEvent))
        const doneAtMs = performance.now()
        if (doneAtMs < countedFromMs || doneAtMs > untilMs) continue
        entries += entriesPerAppend
        timesMs.push(doneAtMs - sentAtMs)
      }
    }))
    return { entriesPerSecond: entries / seconds, timesMs }
  },
  async end() {
    await keeper?.stop()
    setTimeout(() => process.exit(0), quietMs)
    return {}
  },
}

function running(): Keeper {
  if (keeper === undefined) throw new Error('the keeper has not been started')
  return keeper
}

async function answer(ask: KeeperAsk): Promise<KeeperReply> {
  try {
    return { answer: await (answers[ask.op] as (ask: KeeperAsk) => Promise<KeeperAnswers[keyof KeeperAnswers]>)(ask) }
  } catch (thrown) {
    return { failed: thrown instanceof Error ? thrown.message : String(thrown) }
  }
}

if (process.send !== undefined) {
  process.on('message', (ask) => void answer(ask as KeeperAsk).then((reply) => process.send?.(reply)))
  process.on('disconnect', () => process.exit(1))
}
