import { describe, expect, test, vi } from 'vitest'
import { createMeshClient } from '../../../node/http/client.ts'
import type { MissionNews } from '../../../node/http/client-watch.ts'
import type { NodeView } from '../../../protocols/capability/views.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { startBridge } from './bridge-fixture.ts'
import { createMeshDouble, otherPeer, selfPeer, type MeshDouble } from './mesh-double.ts'

const paused: MissionEvent = { type: 'paused', atWallMs: 1 }
const completed: MissionEvent = { type: 'completed', atWallMs: 3, result: { inline: 1 } }
const patient = { timeout: 10_000 }

/** The same missions behind another node's bridge. */
function behind(mesh: MeshDouble, self: PeerId): MeshDouble & { nodeViews: NodeView[] } {
  const nodeViews: NodeView[] = []
  return { ...mesh, self, nodeViews, nodes: () => Promise.resolve(nodeViews) }
}

function nodeView(peerId: PeerId, name: string, http: string, isSelf: boolean): NodeView {
  return { peerId, name, self: isSelf, state: 'connected', advert: { http } as NonNullable<NodeView['advert']> }
}

/** Two bridges of one mesh; `told` is who the second says it is. */
async function twoBridges(told: PeerId = otherPeer) {
  const mesh = createMeshDouble()
  const [meshA, meshB] = [behind(mesh, selfPeer), behind(mesh, otherPeer)]
  const a = (await startBridge({ mesh: meshA })).bridge
  const b = (await startBridge({ mesh: meshB })).bridge
  meshA.nodeViews.push(nodeView(selfPeer, 'node-a', a.url, true), nodeView(otherPeer, 'node-b', b.url, false))
  meshB.nodeViews.push(nodeView(selfPeer, 'node-a', a.url, false), nodeView(told, 'node-b', b.url, true))
  const asked = vi.spyOn(meshA, 'nodes')
  const client = createMeshClient(a.url)
  const moves: string[][] = []
  const roaming = client.roam((...move) => moves.push(move))
  await vi.waitFor(() => expect(asked).toHaveBeenCalled(), patient)
  // The answer is on its way to the client: what is asked after it is answered after it.
  await client.health()
  roaming.close()
  return { mesh, a, b, client, moves }
}

describe('a client whose bridge is gone', () => {
  test('follows its mission at another bridge, after the last event it saw', async () => {
    const { mesh, a, b, client, moves } = await twoBridges()
    const id = mesh.addMission()
    mesh.append(id, paused)
    const news: MissionNews[] = []
    const watched = (async () => {
      for await (const each of client.watch(id)) news.push(each)
    })()
    await vi.waitFor(() => expect(news).toHaveLength(1), patient)
    await a.close()
    mesh.append(id, paused, completed)
    await watched
    expect(news.flatMap((each) => (each.type === 'event' ? [each.index] : []))).toEqual([1, 2, 3])
    expect(news.at(-1)).toEqual({ type: 'end', state: 'completed' })
    expect(moves).toEqual([[a.url, b.url, 'node-b']])
    expect(client.url).toBe(b.url)
    expect((await client.mission(id)).state).toBe('completed')
  })

  test('submits at another, where the same key gives the same mission', async () => {
    const { a, b, client } = await twoBridges()
    await a.close()
    const [first, again] = await Promise.all([client.submit({ capability: 'a' }, { key: 'k' }), client.submit({ capability: 'a' }, { key: 'k' })])
    expect(again.id).toBe(first.id)
    expect(client.url).toBe(b.url)
  })

  test('believes no bridge that belongs to another node than the one that named it', async () => {
    const { a, client, moves } = await twoBridges(selfPeer)
    await a.close()
    await expect(client.missions()).rejects.toThrow(a.url)
    expect(moves).toEqual([])
  })

  test('takes the mesh’s own faults for what they are', async () => {
    const { mesh, client, moves } = await twoBridges()
    mesh.failNext(new MeshError('owner-unreachable', 'nobody leads it'))
    await expect(client.missions()).rejects.toMatchObject({ fault: { detail: 'nobody leads it' } })
    expect(moves).toEqual([])
  })
})

test('a watcher whose events are not kept any more is given the mission as it is, and goes on from there', async () => {
  const { bridge, mesh } = await startBridge()
  const id = mesh.addMission()
  mesh.append(id, paused, paused, paused)
  mesh.watch = (_id, from, _principal, listener) => {
    queueMicrotask(() => listener({ events: [{ index: 3, event: paused }, { index: 4, event: completed }].filter(({ index }) => index > from), notes: [], ...(from < 2 ? { resetTo: 2 } : {}) }))
    return () => undefined
  }
  const news: MissionNews[] = []
  const view = mesh.missions.get(id)?.view
  if (view !== undefined) Object.assign(view, { lastIndex: 4 })
  for await (const each of createMeshClient(bridge.url).watch(id)) news.push(each)
  expect(news.find(({ type }) => type === 'reset')).toMatchObject({ index: 2, mission: { id }, tasks: { id: 'root' } })
  expect(news.at(-1)).toEqual({ type: 'end', state: 'completed' })
})
