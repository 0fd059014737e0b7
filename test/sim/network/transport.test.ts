import { describe, expect, it } from 'vitest'
import type { Transport } from '../../../actors/ports/transport.ts'
import type { Envelope, Received } from '../../../protocols/wire.ts'
import { createVirtualTransport, type VirtualTransportInit } from '../../../sim/transport-virtual-adapter.ts'
import { note } from '../../contracts/transport.ts'
import { peerOf, stations, upTo, type Stations } from './stations.ts'

const [a, b] = [peerOf('a'), peerOf('b')]

function pair(init: VirtualTransportInit): { readonly world: Stations; readonly transport: Transport; readonly received: Received[] } {
  const world = stations()
  const [left, right] = [world.network.join(a), world.network.join(b)]
  const transport = createVirtualTransport(left, init)
  const received: Received[] = []
  createVirtualTransport(right, init).onReceive((one) => received.push(one))
  return { world, transport, received }
}

async function sendOneByOne(world: Stations, transport: Transport, to: typeof a, envelopes: readonly Envelope[]): Promise<void> {
  for (const envelope of envelopes) {
    transport.send(to, envelope)
    await world.clock.runFor(100)
  }
}

describe('a transport that decodes every fourth frame', () => {
  it('hands over copies of those and the very objects of the others', async () => {
    const { world, transport, received } = pair({ decodeEvery: 4 })
    const sent = upTo(8).map((at) => note(String(at)))
    await sendOneByOne(world, transport, b, sent)
    expect(received.map(({ envelope }) => envelope)).toEqual(sent)
    expect(received.map(({ envelope }, at) => envelope === sent[at])).toEqual([false, true, true, true, false, true, true, true])
    expect(world.network.counters(b)).toMatchObject({ framesReceived: 8, messagesReceived: 8, bytesReceived: world.network.counters(a).bytesSent })
  })

  it('decodes all by default', async () => {
    const { world, transport, received } = pair({})
    const sent = upTo(3).map((at) => note(String(at)))
    await sendOneByOne(world, transport, b, sent)
    expect(received.map(({ envelope }, at) => envelope === sent[at])).toEqual([false, false, false])
  })

  it('has nothing but bytes from who sends nothing else', async () => {
    const { world, transport, received } = pair({ decodeEvery: 4, onViolation: (from) => refused.push(from) })
    const refused: string[] = []
    await sendOneByOne(world, transport, b, [note('first')])
    world.network.host(a)!.sendFrame(b, new Uint8Array([1, 2, 3]), 1)
    await world.clock.runFor(100)
    expect([received.length, refused]).toEqual([1, [a]])
  })
})

describe('what a transport tells an observer', () => {
  it('is every envelope, before its receiver gets it, and how many of each kind were sent', async () => {
    const observed: string[] = []
    const { world, transport, received } = pair({ onDelivered: ({ peer, envelope }) => observed.push(`${peer} ${envelope.message.kind} after ${received.length}`) })
    transport.onReceive(({ envelope }) => observed.push(`self: ${envelope.message.kind}`))
    await sendOneByOne(world, transport, b, [note('one'), { to: 'x', from: 'y', message: { kind: 'node-report', requestId: '1', report: 'fine' } }, note('two')])
    await sendOneByOne(world, transport, a, [note('to itself')])
    expect(observed).toEqual([`${a} goodbye after 0`, `${a} node-report after 1`, `${a} goodbye after 2`, `${a} goodbye after 3`, 'self: goodbye'])
    expect(Object.fromEntries(world.network.byKind)).toEqual({ goodbye: 2, 'node-report': 1 })
  })
})
