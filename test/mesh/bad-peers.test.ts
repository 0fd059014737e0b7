/** Peers that have the mesh key and speak nonsense: the nodes cut them off, say so, and serve the next mission. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { frame } from '../../node/libp2p/framer.ts'
import { type MeshLibp2p, createLibp2pNode } from '../../node/libp2p/libp2p-node.ts'
import { meshProtocol } from '../../node/libp2p/transport-libp2p-adapter.ts'
import { readMeshKey } from '../../node/mesh-key.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { type Envelope, encodeFrame, encodeValue, protocolMajor } from '../../protocols/wire.ts'
import { type RealMesh, type RealNode, startRealMesh } from '../support/real-mesh.ts'
import { say, within } from '../support/refusals.ts'
import { until } from '../support/until.ts'

const skill = fileURLToPath(new URL('./fixtures/greet-1.skill.ts', import.meta.url))

let mesh: RealMesh
let node: RealNode
let raw: MeshLibp2p
beforeAll(async () => {
  mesh = await startRealMesh([{ name: 'node' }, { name: 'friend', flags: ['--skill', skill] }])
  node = mesh.node('node')
})
afterAll(() => mesh?.stop())
beforeEach(async () => {
  const meshKey = await readMeshKey(node.dataDir)
  if (meshKey === undefined) throw new Error('no mesh key')
  raw = await createLibp2pNode({ privateKey: await generateKeyPair('Ed25519'), meshKey, listen: ['/ip4/127.0.0.1/tcp/0'], announce: [], mdns: false, nodesExpected: 5, hungPeerMs: 30_000, connectionGater: {} })
})
afterEach(() => raw?.stop())

const isConnected = (): boolean => raw.getConnections(peerIdFromString(node.peerId)).length > 0
const offences = () => node.facts('transport.offence').filter((fact) => fact['peer'] === raw.peerId.toString())
const dial = () => raw.dial(node.addrs.map((addr) => multiaddr(addr)))

async function sendBytes(bytes: Uint8Array): Promise<void> {
  const stream = await raw.dialProtocol(node.addrs.map((addr) => multiaddr(addr)), meshProtocol)
  stream.addEventListener('message', () => undefined)
  try {
    for (let at = 0; at < bytes.byteLength; at += 64 * 1024) {
      if (!stream.send(bytes.subarray(at, at + 64 * 1024))) await within('the stream to drain', new Promise<void>((resolve) => {
        stream.addEventListener('drain', () => resolve(), { once: true })
        stream.addEventListener('close', () => resolve(), { once: true })
      }))
    }
  } catch {
    // It was cut off in the middle of its speech, as it should be.
  }
}

async function expectHealthy(): Promise<void> {
  const said = await say(['run', 'greet.person', '-i', 'name=Ann'], { env: { ...mesh.env, SKEIN_URL: node.http } })
  expect(said, said.err).toMatchObject({ code: 0 })
  expect(JSON.parse(said.out)).toMatchObject({ state: 'completed', result: { said: 'hello Ann' } })
  expect(mesh.nodes.every((member) => member.isRunning())).toBe(true)
}

const noise = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, i) => (i * 7_919 + 13) % 251)
const envelope = (change: object): Uint8Array => encodeValue([protocolMajor, [{ to: 'directory', from: 'x', message: { kind: 'goodbye', reason: 'x' }, ...change }]])
const lie = (length: number, body: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(4 + body.byteLength)
  new DataView(bytes.buffer).setUint32(0, length)
  bytes.set(body, 4)
  return bytes
}

const nonsense: readonly [name: string, bytes: () => Uint8Array, told: RegExp][] = [
  ['noise', () => noise(10_000), /limit|msgpack|frame/],
  ['a frame of noise', () => frame(noise(1_000)).subarray(), /msgpack|frame/],
  ['an oversized frame', () => lie(limits.frameBytesMax + 1, noise(100)), /bytes was announced, the limit is/],
  ['a frame of 4 GiB', () => lie(0xffff_ffff, noise(100)), /bytes was announced, the limit is/],
  ['an unknown major inside', () => frame(encodeValue([99, []])).subarray(), /protocol major 99/],
  ['an unknown kind of message', () => frame(envelope({ message: { kind: 'obey' } })).subarray(), /outside the schema/],
  ['a known message with wrong fields', () => frame(envelope({ message: { kind: 'goodbye', reason: 7 } })).subarray(), /outside the schema/],
  ['too many messages', () => frame(encodeValue([protocolMajor, Array.from({ length: limits.frameMessagesMax + 1 }, () => ({ to: 'a', from: 'b', message: { kind: 'goodbye', reason: '' } }))])).subarray(), /messages is over the limit/],
]

describe('a peer with the mesh key', () => {
  it.each(nonsense)('that sends %s is told off, then cut off, and the node goes on', async (_name, bytes, told) => {
    await raw.start()
    await dial()
    for (let time = 0; time < 5 && (time === 0 || isConnected()); time++) {
      await sendBytes(bytes()).catch(() => undefined)
      await until(() => offences().length > time || !isConnected(), { what: 'the offence to be noted', context: () => node.stderr().slice(-2_000) })
    }
    // Twice it is forgiven.
    expect(offences().map((fact) => fact['quarantined'])).toEqual([false, false, true])
    for (const offence of offences()) expect(String(offence['reason'])).toMatch(told)
    await until(() => !isConnected(), { what: 'the peer to be cut off' })
    // It may knock again, but nobody opens.
    await dial().catch(() => undefined)
    await until(() => !isConnected(), { what: 'the peer to be refused' })
    expect(node.facts('transport.peer-up').filter((fact) => fact['peer'] === raw.peerId.toString()).length).toBeLessThanOrEqual(offences().length)
    expect((await node.client.nodes()).some((view) => view.peerId === raw.peerId.toString() && view.state === 'connected')).toBe(false)
    await expectHealthy()
  })

  it('that holds back the end of a frame costs no more than that frame', async () => {
    await raw.start()
    await dial()
    await sendBytes(lie(limits.frameBytesMax, noise(1_000_000)))
    await expectHealthy()
  })

  it('that speaks another major only is refused with a reason, and doctor tells it', async () => {
    await raw.handle('/skein/mesh/9', () => undefined)
    await raw.start()
    await dial()
    await until(() => node.facts('transport.version-refused').length > 0, { what: 'the refusal', context: () => node.stderr().slice(-2_000) })
    expect(JSON.stringify(node.facts('transport.version-refused')[0])).toMatch(/speaks \/skein\/mesh\/9, this node speaks \/skein\/mesh\/2/)
    const doctor = await say(['doctor', '--data', node.dataDir], { env: mesh.env })
    expect(doctor.out).toMatch(/skein\/mesh\/9/)
    expect(doctor.out).toMatch(/same major release/)
    await expect(raw.dialProtocol(peerIdFromString(node.peerId), '/skein/mesh/9')).rejects.toThrow()
    await expectHealthy()
  })

  it('that speaks well-formed lies changes nothing: forged awards, calls and results of others', async () => {
    await raw.start()
    await dial()
    const said = await say(['run', 'greet.person', '-i', 'name=Bo'], { env: { ...mesh.env, SKEIN_URL: node.http } })
    const { id } = JSON.parse(said.out) as { id: string }
    const self = raw.peerId.toString()
    const epoch = { lineage: 1, term: 1 }
    const awardId = `${id}:root/greet.person#1@1.1`
    const lies: unknown[] = [
      { to: 'missions', from: 'x', message: { kind: 'mission-ask', requestId: '1', principal: 'local', operation: { op: 'cancel', missionId: 'm-aaaaaaaa-bbbbbbbbbbbb', reason: 'x' } } },
      { to: `mission/${id}`, from: 'x', message: { kind: 'record', missionId: id, taskId: 'root', awardId, requestId: 1, events: [{ type: 'failed', atWallMs: 1, fault: { code: 'internal', detail: 'forged', retryable: false } }] } },
      { to: `award/${awardId}`, from: 'x', message: { kind: 'cancel', awardId, reason: 'forged' } },
      { to: 'participant', from: 'x', message: { kind: 'adopt', awardId, epoch, manager: { peer: self, actor: 'x' }, orchestrator: { peer: self, actor: 'x' }, leaseMs: 1_000 } },
      { to: 'nobody-at-all', from: 'x', message: { kind: 'goodbye', reason: 'x' } },
    ]
    for (const one of lies) await sendBytes(frame(encodeFrame([one as Envelope])).subarray())
    await until(async () => (await node.client.dead()).some((dead) => dead.reason.includes('nobody-at-all')) || offences().length > 0, { what: 'the last of them to arrive', context: () => node.stderr().slice(-2_000) })
    expect(await node.client.mission(id as never)).toMatchObject({ state: 'completed' })
    expect((await node.client.result(id as never)).result).toMatchObject({ said: 'hello Bo' })
    await expectHealthy()
  })
})
