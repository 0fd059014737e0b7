/** Listens in on libp2p's gossip and DHT. Neither offers a place for it, so their inner methods are wrapped, each checked to be there. */
import type { MeshLibp2p } from '../../../node/libp2p/libp2p-node.ts'

export type Tally = Record<'subscriptions' | 'graft' | 'prune' | 'messages' | 'messageBytes' | 'ihave' | 'iwant' | 'idontwant' | 'findNode' | 'addProvider' | 'getProviders' | 'dhtReplies' | 'dhtBytes', number>

export function emptyTally(): Tally {
  return { subscriptions: 0, graft: 0, prune: 0, messages: 0, messageBytes: 0, ihave: 0, iwant: 0, idontwant: 0, findNode: 0, addProvider: 0, getProviders: 0, dhtReplies: 0, dhtBytes: 0 }
}

interface GossipRpc {
  readonly subscriptions?: readonly unknown[]
  readonly messages?: readonly unknown[]
  readonly control?: Partial<Record<'ihave' | 'iwant' | 'graft' | 'prune' | 'idontwant', readonly unknown[]>>
}

interface PeerInfo {
  readonly id?: Uint8Array
  readonly multiaddrs?: readonly Uint8Array[]
}

interface DhtMessage {
  readonly type?: string
  readonly key?: Uint8Array
  readonly closer?: readonly PeerInfo[]
  readonly providers?: readonly PeerInfo[]
}

type Method = (...inputs: never[]) => unknown

function wrap(owner: object, name: string, around: (call: (inputs: unknown[]) => unknown, inputs: unknown[]) => unknown): void {
  const methods = owner as Record<string, Method | undefined>
  const method = methods[name]
  if (typeof method !== 'function') throw new Error(`libp2p has no ${name} to listen to any more: look for where it went`)
  methods[name] = (...inputs: unknown[]) => around((given) => method.apply(owner, given as never[]), inputs)
}

/** Counts what a node receives by gossip and sends to the DHT, and what it answers there. */
export function tapNode(libp2p: MeshLibp2p, tally: Tally): void {
  wrap(libp2p.services.gossip, 'decodeRpc', (call, inputs) => {
    const rpc = call(inputs) as GossipRpc
    tally.subscriptions += rpc.subscriptions?.length ?? 0
    const messages = rpc.messages?.length ?? 0
    tally.messages += messages
    if (messages > 0) tally.messageBytes += (inputs[0] as Uint8Array).length
    for (const entry of ['graft', 'prune', 'ihave', 'iwant', 'idontwant'] as const) tally[entry] += rpc.control?.[entry]?.length ?? 0
    return rpc
  })
  const { network, rpc } = libp2p.services.dht as unknown as { readonly network: object; readonly rpc: object }
  const countRequest = (message: DhtMessage): void => {
    if (message.type === 'FIND_NODE') tally.findNode++
    if (message.type === 'GET_PROVIDERS') tally.getProviders++
    if (message.type === 'ADD_PROVIDER') tally.addProvider++
    tally.dhtBytes += dhtMessageBytes(message)
  }
  for (const send of ['_writeReadMessage', '_writeMessage']) {
    wrap(network, send, (call, inputs) => {
      countRequest(inputs[1] as DhtMessage)
      return call(inputs)
    })
  }
  wrap(rpc, 'handleMessage', async (call, inputs) => {
    const reply = (await call(inputs)) as DhtMessage | undefined
    if (reply === undefined) return reply
    tally.dhtReplies++
    tally.dhtBytes += dhtMessageBytes(reply)
    return reply
  })
}

/** What protobuf makes of it, with the length before it. */
function dhtMessageBytes({ key, closer = [], providers = [] }: DhtMessage): number {
  const field = (bytes: number): number => 1 + varintBytes(bytes) + bytes
  const peerBytes = ({ id, multiaddrs = [] }: PeerInfo): number => field(field(id?.length ?? 0) + multiaddrs.reduce((sum, addr) => sum + field(addr.length), 0))
  const bytes = 2 + (key === undefined ? 0 : field(key.length)) + [...closer, ...providers].reduce((sum, peer) => sum + peerBytes(peer), 0)
  return varintBytes(bytes) + bytes
}

function varintBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : 3
}
