/**
 * The Transport port over `/skein/mesh/1`.
 *
 * Each side opens one long-lived stream and only writes to it; the two directions are two streams, so neither waits
 * for the other to open it and a simultaneous dial does no harm. A frame is a u32 length and `encodeFrame(batch)`.
 * At most once: what was handed to a stream that is then lost is not sent again.
 *
 * @packageDocumentation
 */
import type { Connection, IdentifyResult, PeerId as Libp2pPeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import type { Transport } from '../../actors/ports/transport.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { decodeFrame, encodeFrame, protocolMajor } from '../../protocols/wire.ts'
import type { Envelope, Received } from '../../protocols/wire.ts'
import { explainDialError, wrongVersionError } from './dial-failures.ts'
import type { DialFailures } from './dial-failures.ts'
import { readFrames } from './inbound-frames.ts'
import type { MeshLibp2p } from './libp2p-node.ts'
import { createOffenders } from './offenders.ts'
import type { Offenders } from './offenders.ts'
import { createPeerLink } from './peer-link.ts'
import type { PeerLink } from './peer-link.ts'

export const meshProtocol = `/skein/mesh/${protocolMajor}`
const meshProtocolOfAnyMajor = /^\/skein\/mesh\/\d+$/
const openTimeoutMs = 10_000
/** The actor that a goodbye of the transport is addressed to. */
const goodbyeActor = 'directory'

export interface Libp2pTransportOptions {
  readonly libp2p: MeshLibp2p
  readonly telemetry: Telemetry
  readonly failures: DialFailures
  readonly offenders?: Offenders
  readonly queueBytesMax?: number
}

export interface Libp2pTransport extends Transport {
  /** Registers the protocol; before libp2p starts, so that no stream comes in unanswered. */
  start(): Promise<void>
  /** Sends what waits, then ends every stream. */
  stop(): Promise<void>
}

export function createLibp2pTransport(options: Libp2pTransportOptions): Libp2pTransport {
  const { libp2p, telemetry, failures } = options
  const offenders = options.offenders ?? createOffenders(() => performance.now())
  const self = libp2p.peerId.toString() as PeerId
  const links = new Map<PeerId, PeerLink>()
  const up = new Set<PeerId>()
  /** Peers that are connected but speak no major of ours, with the reason. */
  const refused = new Map<PeerId, string>()
  const receiveListeners: ((received: Received) => void)[] = []
  const peerListeners: ((peer: PeerId, state: 'up' | 'down') => void)[] = []
  const undeliveredListeners: ((peer: PeerId, envelope: Envelope, reason: string) => void)[] = []

  function linkTo(peer: PeerId): PeerLink {
    const existing = links.get(peer)
    if (existing !== undefined) return existing
    const link = createPeerLink({
      openStream: () => openStream(peer),
      onOpen: () => markUp(peer),
      onUndelivered: (envelope, reason) => {
        for (const listener of undeliveredListeners) listener(peer, envelope, reason)
      },
      ...(options.queueBytesMax === undefined ? {} : { queueBytesMax: options.queueBytesMax }),
    })
    links.set(peer, link)
    return link
  }

  async function openStream(peer: PeerId): Promise<Stream> {
    const reason = refused.get(peer)
    if (reason !== undefined) throw new Error(reason)
    try {
      const remote = peerIdFromString(peer)
      const connection = preferredConnection(remote) ?? (await libp2p.dial(remote, { signal: AbortSignal.timeout(openTimeoutMs) }))
      return await connection.newStream(meshProtocol, { signal: AbortSignal.timeout(openTimeoutMs), maxOutboundStreams: 16 })
    } catch (error) {
      if (error instanceof Error && error.name === 'UnsupportedProtocolError') throw new Error(`it does not speak ${meshProtocol}`, { cause: error })
      throw new Error(explainDialError(error).reason, { cause: error })
    }
  }

  /** Of several connections both sides prefer the one that the lower peer id dialled. */
  function preferredConnection(remote: Libp2pPeerId): Connection | undefined {
    const open = libp2p.getConnections(remote).filter((connection) => connection.status === 'open')
    const preferred = self < remote.toString() ? 'outbound' : 'inbound'
    return open.find((connection) => connection.direction === preferred) ?? open[0]
  }

  function markUp(peer: PeerId): void {
    if (up.has(peer) || libp2p.getConnections(peerIdFromString(peer)).length === 0) return
    up.add(peer)
    failures.clear(undefined, peer)
    telemetry.record({ name: 'transport.peer-up', level: 'info', fields: { peer } })
    for (const listener of peerListeners) listener(peer, 'up')
  }

  function markDown(peer: PeerId): void {
    links.get(peer)?.reset('the connection was lost')
    links.delete(peer)
    refused.delete(peer)
    if (!up.delete(peer)) return
    telemetry.record({ name: 'transport.peer-down', level: 'info', fields: { peer } })
    for (const listener of peerListeners) listener(peer, 'down')
  }

  function onIdentified({ detail }: CustomEvent<IdentifyResult>): void {
    const peer = detail.peerId.toString() as PeerId
    if (detail.protocols.includes(meshProtocol)) {
      refused.delete(peer)
      if (detail.connection.status === 'open') linkTo(peer).open()
      return
    }
    const theirs = detail.protocols.filter((protocol) => meshProtocolOfAnyMajor.test(protocol))
    if (theirs.length === 0) return
    const error = wrongVersionError(theirs, meshProtocol)
    refused.set(peer, error.message)
    failures.record(detail.connection.remoteAddr.toString(), peer, error)
    telemetry.record({ name: 'transport.version-refused', level: 'warn', fields: { peer, reason: error.message } })
  }

  function onConnectionClosed({ detail: connection }: CustomEvent<Connection>): void {
    const [other] = libp2p.getConnections(connection.remotePeer).filter((open) => open.status === 'open')
    if (other === undefined) return
    // The streams of the closed connection are gone; identifying again makes gossip and the link open theirs on the other one.
    libp2p.services.identify.identify(other, { signal: AbortSignal.timeout(openTimeoutMs) }).catch((error: unknown) => {
      telemetry.record({ name: 'transport.identify-failed', level: 'warn', fields: { peer: connection.remotePeer.toString(), reason: explainDialError(error).reason } })
    })
  }

  function onDisconnected({ detail }: CustomEvent<Libp2pPeerId>): void {
    markDown(detail.toString() as PeerId)
  }

  function onStream(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString() as PeerId
    markUp(peer)
    readFrames(stream, (envelope) => deliver({ peer, envelope }), (reason) => onOffence(peer, reason))
  }

  function onOffence(peer: PeerId, reason: string): void {
    const quarantine = offenders.offended(peer)
    telemetry.record({ name: 'transport.offence', level: 'warn', fields: { peer, reason, quarantined: quarantine } })
    if (!quarantine) {
      linkTo(peer).send({ to: goodbyeActor, from: goodbyeActor, message: { kind: 'goodbye', reason: `unreadable: ${reason}`.slice(0, 280) } })
      return
    }
    for (const connection of libp2p.getConnections(peerIdFromString(peer))) connection.abort(new Error(`quarantined: ${reason}`))
  }

  function deliver(received: Received): void {
    for (const listener of receiveListeners) listener(received)
  }

  /** To itself a node speaks through the same encoding, so that a message cannot work at home and fail abroad. */
  function sendToSelf(envelope: Envelope): void {
    setImmediate(() => {
      try {
        for (const decoded of decodeFrame(encodeFrame([envelope]))) deliver({ peer: self, envelope: decoded })
      } catch (error) {
        for (const listener of undeliveredListeners) listener(self, envelope, error instanceof Error ? error.message : String(error))
      }
    })
  }

  return {
    send(peer, envelope) {
      if (peer === self) sendToSelf(envelope)
      else linkTo(peer).send(envelope)
    },
    onReceive: (listener) => void receiveListeners.push(listener),
    onPeer: (listener) => void peerListeners.push(listener),
    onUndelivered: (listener) => void undeliveredListeners.push(listener),
    connectedPeers: () => [...up],
    async start() {
      libp2p.addEventListener('peer:identify', onIdentified)
      libp2p.addEventListener('peer:disconnect', onDisconnected)
      libp2p.addEventListener('connection:close', onConnectionClosed)
      await libp2p.handle(meshProtocol, onStream, { maxInboundStreams: 16, maxOutboundStreams: 16 })
    },
    async stop() {
      libp2p.removeEventListener('peer:identify', onIdentified)
      libp2p.removeEventListener('connection:close', onConnectionClosed)
      await Promise.all([...links.values()].map((link) => link.close(1_000)))
      libp2p.removeEventListener('peer:disconnect', onDisconnected)
      await libp2p.unhandle(meshProtocol)
    },
  }
}
