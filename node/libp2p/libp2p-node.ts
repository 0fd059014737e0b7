/**
 * The libp2p node that everything else in this folder stands on, with every setting in one place.
 * Why a setting differs from libp2p's own default is said beside it.
 *
 * @packageDocumentation
 */
import { gossipsub } from '@libp2p/gossipsub'
import type { GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Identify } from '@libp2p/identify'
import type { ComponentLogger, ConnectionGater, Libp2p, Logger, PrivateKey } from '@libp2p/interface'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import type { KadDHT } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import type { Ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import type { LevelDatastore } from 'datastore-level'
import { createLibp2p } from 'libp2p'
import { limits } from '../../protocols/kernel/limits.ts'
import { fingerprintOf } from '../mesh-key.ts'
import type { MeshKey } from '../mesh-key.ts'
import { makeFrugal } from './frugal-peer-store.ts'
import { guardedYamux } from './guarded-yamux.ts'
import { createLiveness, type Watched } from './liveness.ts'
import { privateNetwork } from './private-network.ts'

export const dhtProtocol = '/skein/kad/1.0.0'

/** What `createLibp2p` is given as services; a type (not an interface) because libp2p asks for an index signature. */
export type MeshServices = {
  identify: Identify
  ping: Ping
  dht: KadDHT
  gossip: GossipSub
}
export type MeshLibp2p = Libp2p<MeshServices>

export interface Libp2pNodeOptions {
  readonly privateKey: PrivateKey
  readonly datastore?: LevelDatastore
  readonly meshKey: MeshKey
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly mdns: boolean
  /** How many nodes the mesh is expected to have: sets the degree of the gossip overlay. */
  readonly nodesExpected: number
  /** A silent peer that does not answer a ping within this time is disconnected. */
  readonly hungPeerMs: number
  readonly connectionGater: ConnectionGater
  /** Somebody connected from this multiaddr and does not have the mesh key. */
  readonly onStranger?: (remoteAddr: string) => void
}

const dayMs = 24 * 60 * 60_000
const MiB = 1024 * 1024

/** An unstarted libp2p node: handlers are registered before the first connection can come in. */
export async function createLibp2pNode(options: Libp2pNodeOptions): Promise<MeshLibp2p> {
  const libp2p = await createLibp2p<MeshServices>({
    start: false,
    privateKey: options.privateKey,
    ...(options.datastore === undefined ? {} : { datastore: options.datastore }),
    addresses: { listen: [...options.listen], announce: [...options.announce] },
    transports: [tcp()],
    connectionProtector: privateNetwork(new Uint8Array(Buffer.from(options.meshKey, 'hex')), options.onStranger),
    connectionEncrypters: [noise()],
    // A paused stream still gets what its window allows, and libp2p aborts it at 4 MiB unread: keep the window well below.
    // The side that dials opens its streams (identify, gossip, DHT, pings, blobs, ours) before a busy other side has finished upgrading
    // the connection; over 10 of these and yamux closes itself under a connection that still counts as open.
    streamMuxers: [guardedYamux({ enableKeepAlive: false, maxEarlyStreams: 256, streamOptions: { maxStreamWindowSize: 2 * MiB } })],
    connectionGater: options.connectionGater,
    connectionManager: {
      // 5 per second and address by default: a whole mesh may live behind one.
      inboundConnectionThreshold: 1_000,
      maxIncomingPendingConnections: 256,
      maxConnections: 1_000,
      dialTimeout: 10_000,
      addressDialTimeout: 3_000,
    },
    connectionMonitor: { enabled: false },
    // A node that was off for days still remembers where the others were.
    peerStore: { maxAddressAge: 7 * dayMs, maxPeerAge: 14 * dayMs },
    peerDiscovery: options.mdns ? [mdns({ serviceTag: mdnsServiceTag(options.meshKey), interval: 10_000 })] : [],
    services: {
      identify: identify(),
      // Nodes of release 0.1 watch their connections by it, and the DHT asks old contacts by it. With libp2p's one stream per connection two pings at
      // the same time make them abort a healthy connection.
      ping: ping({ maxInboundStreams: 32, maxOutboundStreams: 32 }),
      dht: kadDHT({
        protocol: dhtProtocol,
        // Without both of these the routing table stays empty on private addresses.
        clientMode: false,
        peerInfoMapper: passthroughMapper,
        // A lone node's queries end instead of waiting for a first peer.
        allowQueryWithZeroPeers: true,
        // A node whose first neighbour was not there yet, or answered late, finds the others by the next look: 5 minutes by default, in
        // which two nodes that had both joined a third would not know of one another, and could not carry on without it.
        querySelfInterval: 10_000,
        // Records outlive dead peers by 48 h by default; the DHT is a hint, a fresh one is a better hint.
        reprovide: { validity: 60 * 60_000, threshold: 30 * 60_000, interval: 10 * 60_000 },
      }),
      gossip: gossipsub(gossipSettings(options.nodesExpected)),
    },
    logger: silentLogger,
  })
  makeFrugal(libp2p.peerStore, libp2p.peerId, () => performance.now())
  const liveness = createLiveness({ hungPeerMs: options.hungPeerMs, nowMs: () => performance.now() })
  libp2p.addEventListener('connection:open', ({ detail }) => liveness.watch((detail as unknown as { readonly muxer: Watched }).muxer, detail))
  libp2p.addEventListener('start', () => liveness.start())
  libp2p.addEventListener('stop', () => liveness.stop())
  return libp2p
}

/** The mDNS service of one mesh: nodes of other meshes never see each other. */
export function mdnsServiceTag(meshKey: MeshKey): string {
  return `_skein-${fingerprintOf(meshKey)}._udp.local`
}

type GossipSettings = NonNullable<Parameters<typeof gossipsub>[0]>

/** Degrees measured for small meshes; libp2p's own for larger ones. */
function gossipSettings(nodesExpected: number): GossipSettings {
  const degree = nodesExpected <= 25 ? { D: 4, Dlo: 3, Dhi: 8, Dscore: 2, Dout: 1, Dlazy: 4 } : { D: 6, Dlo: 4, Dhi: 12, Dscore: 4, Dout: 2, Dlazy: 6 }
  return {
    ...degree,
    emitSelf: true,
    fallbackToFloodsub: false,
    floodPublish: true,
    // To tell the neighbours of a message that they need not send it costs each a frame: more than a second copy of a call of a few hundred bytes.
    idontwantMinDataSize: 16 * 1024,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    maxInboundDataLength: limits.gossipBytesMax + 64 * 1024,
    maxOutboundBufferSize: 16 * MiB,
    maxInboundStreams: 32,
    maxOutboundStreams: 32,
    // Duplicates are recognised by author and sequence number before their signature is checked.
    fastMsgIdFn: (message) => (message.from && message.seqno ? `${Buffer.from(message.from).toString('base64')}:${Buffer.from(message.seqno).toString('hex')}` : ''),
    // Several nodes behind one address would be scored down until nothing is delivered.
    scoreParams: { IPColocationFactorWeight: 0 },
  }
}

/** libp2p's own log lines go nowhere: what matters is recorded as facts. `DEBUG` has no effect on a Skein node. */
const silentLogger: ComponentLogger = { forComponent: () => silent() }

function silent(): Logger {
  const log = (): undefined => undefined
  return Object.assign(log, { error: log, trace: log, enabled: false, newScope: silent })
}
