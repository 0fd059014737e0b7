/**
 * A node's presence on the network: one libp2p node with the ports the actors need standing on it.
 *
 * @example
 * ```ts
 * const store = await openNodeDatastore(dataDir)
 * const { meshKey } = await loadOrCreateMeshKey(dataDir)
 * const host = await createHost({ privateKey: await loadIdentityKey(store), datastore: store.datastore, meshKey, telemetry,
 *   listen: ['/ip4/0.0.0.0/tcp/4747'], portIsDefault: true, peers: invite.addrs })
 * host.transport.onPeer((peer, state) => …)
 * ```
 *
 * @packageDocumentation
 */
import type { ConnectionGater, PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { LevelDatastore } from 'datastore-level'
import type { Discovery } from '../../actors/ports/discovery.ts'
import type { Gossip } from '../../actors/ports/gossip.ts'
import type { Identity } from '../../actors/ports/identity.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import type { Transport } from '../../actors/ports/transport.ts'
import { toFault } from '../../protocols/kernel/errors.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { fingerprintOf } from '../mesh-key.ts'
import type { MeshKey } from '../mesh-key.ts'
import { createBlobProtocol } from './blob-protocol.ts'
import type { BlobProtocol } from './blob-protocol.ts'
import { createDialFailures } from './dial-failures.ts'
import type { DialFailure } from './dial-failures.ts'
import { createDhtDiscovery } from './discovery-dht-adapter.ts'
import { createLibp2pGossip, wireTopic } from './gossip-libp2p-adapter.ts'
import { hintsDatastore } from './hints-datastore.ts'
import { createEd25519Identity } from './identity-ed25519-adapter.ts'
import { createLibp2pNode } from './libp2p-node.ts'
import { freeListenAddresses, portTakenError } from './listen-addresses.ts'
import { createOffenders } from './offenders.ts'
import { createStrangers } from './strangers.ts'
import { createRedial, parseAddr } from './redial.ts'
import { createTopicContacts } from './topic-contacts.ts'
import { createLibp2pTransport } from './transport-libp2p-adapter.ts'

export interface HostOptions {
  readonly privateKey: PrivateKey
  readonly meshKey: MeshKey
  readonly telemetry: Telemetry
  /** Keeps the peer store and DHT records over restarts; in memory when absent. The caller closes it after `stop`. */
  readonly datastore?: LevelDatastore
  /** Multiaddrs to listen on; port 0 takes any free one. */
  readonly listen: readonly string[]
  /** Multiaddrs told to others in place of those listened on (behind NAT, in a container). */
  readonly announce?: readonly string[]
  /** Nobody asked for the port in `listen`: the next free one will do. */
  readonly portIsDefault?: boolean
  /** Multiaddrs of members to dial, for as long as the node runs. */
  readonly peers?: readonly string[]
  /** Find members on the local network. True by default. */
  readonly mdns?: boolean
  readonly nodesExpected?: number
  readonly connectionsAimed?: number
  /** How long a peer may leave a ping unanswered; it is seen as down within twice this. 3,000 by default: a machine that is only busy may well be silent for a second or two, and half of this would cost it its work. */
  readonly hungPeerMs?: number
  readonly peerQueueBytesMax?: number
}

export interface HostConnection {
  readonly peer: PeerId
  readonly addr: string
  readonly direction: 'inbound' | 'outbound'
}

export interface Host {
  readonly peerId: PeerId
  readonly identity: Identity
  /** Where this node can be reached, each with `/p2p/<peer id>`: for invites, adverts and the ready line. */
  addrs(): string[]
  readonly transport: Transport
  readonly gossip: Gossip
  readonly discovery: Discovery
  readonly blobs: Pick<BlobProtocol, 'serve' | 'fetch'>
  /** Addresses that could not be reached, and machines that knocked without the key, with the reason in plain words. */
  dialFailures(): readonly DialFailure[]
  /** Dials a multiaddr now and keeps it as a target. @throws MeshError with the reason. */
  dial(addr: string): Promise<void>
  /** Remembers addresses that a peer said are its own (from its advert), for a later send to it. Unreadable ones are left out. */
  learnAddrs(peer: PeerId, addrs: readonly string[]): Promise<void>
  connections(): HostConnection[]
  /** Sends what waits, says farewell to the network and closes every socket. */
  stop(): Promise<void>
}

/**
 * Starts a node on the network.
 *
 * @throws MeshError `wrong-state` when a port asked for is taken, `bad-request` when an address is malformed.
 */
export async function createHost(options: HostOptions): Promise<Host> {
  for (const addr of [...(options.announce ?? []), ...(options.peers ?? [])]) parseAddr(addr)
  for (let tries = 1; ; tries++) {
    const listen = await freeListenAddresses(options.listen, options.portIsDefault ?? false)
    try {
      return await startHost(options, listen)
    } catch (error) {
      const { detail } = toFault(error)
      if (!detail.includes('EADDRINUSE')) throw error
      // Between the look for a free port and its use another program took it.
      if (options.portIsDefault !== true || tries >= startTriesMax) throw portTakenError(listen.join(', '))
    }
  }
}

const startTriesMax = 10

async function startHost(options: HostOptions, listen: readonly string[]): Promise<Host> {
  const { telemetry, meshKey } = options
  const failures = createDialFailures(() => Date.now())
  const offenders = createOffenders(() => performance.now())
  const strangers = createStrangers(telemetry, () => Date.now())
  const denies = (peer: { toString(): string }): boolean => offenders.isQuarantined(peer.toString() as PeerId)
  const connectionGater: ConnectionGater = {
    // Private addresses are what a mesh at home or in an office has.
    denyDialMultiaddr: () => false,
    denyDialPeer: denies,
    denyInboundEncryptedConnection: denies,
  }
  const hints = options.datastore === undefined ? undefined : hintsDatastore(options.datastore, telemetry)
  const libp2p = await createLibp2pNode({
    privateKey: options.privateKey,
    meshKey,
    ...(hints === undefined ? {} : { datastore: hints.datastore }),
    listen,
    announce: options.announce ?? [],
    mdns: options.mdns ?? true,
    nodesExpected: options.nodesExpected ?? 10,
    hungPeerMs: options.hungPeerMs ?? 3_000,
    connectionGater,
    onStranger: (remoteAddr) => strangers.knocked(remoteAddr),
  })
  const transport = createLibp2pTransport({ libp2p, telemetry, failures, offenders, ...(options.peerQueueBytesMax === undefined ? {} : { queueBytesMax: options.peerQueueBytesMax }) })
  const connectionsAimed = options.connectionsAimed ?? 128
  const meshFingerprint = fingerprintOf(meshKey)
  const contacts = createTopicContacts({
    libp2p, telemetry, connectionsAimed, contactsAimed: topicContactsAimed, random: Math.random,
    listeners: (topic) => libp2p.services.gossip.getSubscribers(wireTopic(meshFingerprint, topic)).length,
  })
  const gossip = createLibp2pGossip({ libp2p, telemetry, meshFingerprint, contacts })
  const discovery = createDhtDiscovery({ libp2p, telemetry })
  const blobs = createBlobProtocol({ libp2p, telemetry })
  const redial = createRedial({ libp2p, telemetry, failures, peers: options.peers ?? [], connectionsAimed, random: Math.random })

  let stopped: Promise<void> | undefined

  async function stopAll(): Promise<void> {
    await Promise.all([redial.stop(), contacts.stop(), discovery.stop(), blobs.stop()])
    await transport.stop()
    gossip.stop()
    await libp2p.stop()
    await hints?.close()
  }

  try {
    await Promise.all([transport.start(), blobs.start()])
    gossip.start()
    contacts.start()
    discovery.start()
    await libp2p.start()
  } catch (error) {
    await stopAll()
    throw error
  }
  // Whoever builds the host attaches its listeners in this same turn of the loop, before the first connection can be up.
  setImmediate(() => void redial.start())

  return {
    peerId: libp2p.peerId.toString() as PeerId,
    identity: createEd25519Identity(options.privateKey),
    addrs: () => libp2p.getMultiaddrs().map(String),
    transport,
    gossip,
    discovery,
    blobs,
    dialFailures: () => [...failures.list(), ...strangers.list()],
    dial: (addr) => redial.dial(addr),
    async learnAddrs(peer, addrs) {
      await libp2p.peerStore.merge(peerIdFromString(peer), { multiaddrs: addrs.flatMap(readableAddr) })
    },
    connections: () =>
      libp2p.getConnections().map((connection) => ({ peer: connection.remotePeer.toString() as PeerId, addr: connection.remoteAddr.toString(), direction: connection.direction })),
    stop: () => (stopped ??= stopAll()),
  }
}

/** Gossipsub's degree in a mesh of more than 25 nodes. */
const topicContactsAimed = 6

function readableAddr(text: string): Multiaddr[] {
  try {
    return [parseAddr(text)]
  } catch {
    return []
  }
}
