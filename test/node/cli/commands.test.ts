import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { writeRunFile, readRunFile, removeRunFile } from '../../../node/cli/run-file.ts'
import { MeshError, fault } from '../../../protocols/kernel/errors.ts'
import { adoptMeshKey, createMeshKey, parseInvite } from '../../../node/mesh-key.ts'
import { PeerId } from '../../../protocols/kernel/ids.ts'
import type { NodeView } from '../../../protocols/capability/views.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { type BridgeFixture, startBridge } from '../http/bridge-fixture.ts'
import { otherPeer, selfPeer } from '../http/mesh-double.ts'
import { say } from './cli-fixture.ts'
import { goodStory, tell } from './mission-story.ts'

let folder: string
let bridge: BridgeFixture
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skein-commands-'))
  bridge = await startBridge()
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const talk = (...argv: string[]): ReturnType<typeof say> => say([...argv, '--url', bridge.bridge.url], { cwd: folder, env: { SKEIN_DATA: folder } })

/** The mesh tells the story as soon as somebody submits. */
function tellOnSubmit(events: readonly MissionEvent[]): void {
  const { mesh } = bridge
  const ask = mesh.ask.bind(mesh)
  mesh.ask = async (operation, principal) => {
    const answer = await ask(operation, principal)
    if (operation.op === 'submit') for (const id of mesh.missions.keys()) if (mesh.missions.get(id)?.log.length === 0) mesh.append(id, ...events)
    return answer
  }
}

describe('run', () => {
  it('submits, tells the story and prints the result', async () => {
    tellOnSubmit(goodStory())
    const said = await talk('run', 'text.shout', '--input', 'text=geese', '--priority', '7', '--limit', 'leaves=9', '--key', 'k1')
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out).toContain('awarded    root/one → node-c (attempt 2)  2 bids: node-c 0.8 s, node-a 1.2 s · earliest finish')
    expect(said.out).toContain('"lines": 3')
    const submitted = bridge.mesh.asked.find(({ operation }) => operation.op === 'submit')?.operation
    expect(submitted).toMatchObject({ key: 'k1', request: { capability: 'text.shout', input: { text: 'geese' }, priority: 7, limits: { leavesMax: 9 } } })
  })

  it('prints the finished mission as one object with --json', async () => {
    tellOnSubmit(goodStory())
    const said = await talk('run', 'text.shout', '--json')
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(said.out)).toMatchObject({ id: expect.stringMatching(/^m-/) as string, state: 'completed', result: { lines: 3 } })
  })

  it('ends with 1 when the mission failed, and says how to find out why', async () => {
    tellOnSubmit([...goodStory().slice(0, 5), tell.failed(900)])
    const said = await talk('run', 'text.shout')
    expect(said.code).toBe(1)
    expect(said.out).toMatch(/skein mission why m-\S+ --url http/)
  })

  it('uploads what the input names, then submits its reference', async () => {
    writeFileSync(join(folder, 'note.txt'), 'honk')
    const said = await talk('run', 'text.shout', '--input', 'file=@note.txt', '--detach', '--json')
    expect(said).toMatchObject({ code: 0, err: '' })
    const submitted = bridge.mesh.asked.find(({ operation }) => operation.op === 'submit')?.operation
    expect(submitted).toMatchObject({ request: { input: { file: { name: 'note.txt', sizeBytes: 4, holders: [selfPeer] } } } })
    expect([...bridge.blobs.held.values()].map((bytes) => new TextDecoder().decode(bytes))).toEqual(['honk'])
  })

  it('submits a plan, and passes on what is wrong with one', async () => {
    writeFileSync(join(folder, 'plan.yaml'), 'name: two\npriority: 3\ntasks:\n  one: { capability: text.shout, input: { text: a } }\n')
    expect(await talk('run', 'plan.yaml', '--detach')).toMatchObject({ code: 0, err: '' })
    expect(bridge.mesh.asked.find(({ operation }) => operation.op === 'submit')?.operation).toMatchObject({ request: { name: 'two', priority: 3, plan: { tasks: { one: { capability: 'text.shout' } } } } })
    writeFileSync(join(folder, 'bad.yaml'), 'tasks:\n  one: { capability: Nope }\n')
    const said = await talk('run', 'bad.yaml', '--json')
    expect(said.code).toBe(2)
    expect(JSON.parse(said.err)).toMatchObject({ error: { code: 'bad-plan', next: expect.any(String) as string } })
  })

  it('names the key to come back with when the outcome is unknown', async () => {
    bridge.mesh.failNext(new MeshError('timeout', 'the owner did not answer'))
    const said = await talk('run', 'text.shout')
    expect(said.code).toBe(4)
    expect(said.err).toMatch(/the same command with --key [0-9a-f-]{36} gives the same mission/)
  })

  it('passes a refusal on with 3', async () => {
    bridge.mesh.failNext(new MeshError('unknown-capability', 'no node has ever offered text.shuot', { next: 'did you mean text.shout?' }))
    expect(await talk('run', 'text.shuot')).toEqual({ code: 3, out: '', err: 'skein: no node has ever offered text.shuot\n  → did you mean text.shout?\n' })
  })
})

describe('mission', () => {
  it('lists, shows, explains and steers', async () => {
    const id = bridge.mesh.addMission()
    expect((await talk('mission', 'list')).out).toContain(id)
    expect((await talk('mission', 'show', id)).out).toContain('repo.report')
    expect((await talk('mission', 'why', id)).out).toContain('no tasks yet')
    for (const verb of ['cancel', 'pause', 'resume', 'retry']) {
      expect(await talk('mission', verb, id), verb).toMatchObject({ code: 0, err: '' })
      expect(bridge.mesh.asked.at(-1)?.operation).toMatchObject({ op: verb, missionId: id })
    }
    expect(await talk('mission', 'retry', id, 'build')).toMatchObject({ code: 3, out: '' })
    await talk('mission', 'retry', id, 'root/build')
    expect(bridge.mesh.asked.at(-1)?.operation).toMatchObject({ op: 'retry', taskId: 'root/build' })
    await talk('mission', 'cancel', id, '--reason', 'enough')
    expect(bridge.mesh.asked.at(-1)?.operation).toMatchObject({ op: 'cancel', reason: 'enough' })
  })

  it('says who keeps a mission, and what a takeover by hand means', async () => {
    const id = bridge.mesh.addMission()
    Object.assign(bridge.mesh.missions.get(id)?.view ?? {}, { epoch: { lineage: 1, term: 4 }, members: [{ peer: selfPeer, name: 'node-a', votes: true }, { peer: otherPeer, votes: false }] })
    const before = (await talk('mission', 'show', id)).out
    expect(before).toContain('epoch 1.4')
    expect(before).toMatch(/its log is kept by node-a; copied to \S+ \(no vote\)/)
    expect(before).not.toContain('taken over')
    Object.assign(bridge.mesh.missions.get(id)?.view ?? {}, { epoch: { lineage: 2, term: 1 } })
    const said = await talk('mission', 'takeover', id)
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(bridge.mesh.asked.at(-1)?.operation).toEqual({ op: 'takeover', missionId: id })
    for (const text of [said.out, (await talk('mission', 'show', id)).out]) expect(text).toContain('taken over by hand: what its lost owner did and nobody else saw is lost, and the promises of quorum do not hold for it')
  })

  it('watches a mission that others submitted', async () => {
    const id = bridge.mesh.addMission()
    bridge.mesh.append(id, ...goodStory())
    const said = await talk('mission', 'watch', id, '--json')
    expect(JSON.parse(said.out)).toMatchObject({ id, state: 'completed' })
    expect((await talk('mission', 'watch', id, '--quiet')).out).toBe('{\n  "lines": 3\n}\n')
  })

  it('goes on at another bridge when its own is gone, says so, and tells the end', async () => {
    const { mesh, bridge: first } = bridge
    const id = mesh.addMission()
    const [beginning, ending] = [goodStory().slice(0, 5), goodStory().slice(5)]
    mesh.append(id, ...beginning)
    const seenBy = (self: PeerId): NodeView[] => [[selfPeer, 'node-a', first.url], [otherPeer, 'node-b', second.bridge.url]].map(([peerId, name, http]) => ({ peerId: peerId as PeerId, name: name ?? '', self: peerId === self, state: 'connected', advert: { http } as NonNullable<NodeView['advert']> }))
    const second = await startBridge({ mesh: { ...mesh, nodes: () => Promise.resolve(seenBy(otherPeer)) } })
    let asked = 0
    mesh.nodes = () => {
      asked += 1
      return Promise.resolve(seenBy(selfPeer))
    }
    const saying = talk('mission', 'watch', id)
    await vi.waitFor(() => expect([asked > 0, mesh.missions.get(id)?.watchers.size]).toEqual([true, 1]), { timeout: 10_000 })
    await first.close()
    mesh.append(id, ...ending)
    const said = await saying
    expect(said).toMatchObject({ code: 0, err: '' })
    expect(said.out).toContain(`nothing answers at ${first.url} any more; going on at ${second.bridge.url} (node-b)`)
    expect(said.out.match(/^ .*accepted {3}root\/one/gm)).toHaveLength(1)
    expect(said.out).toContain('"lines": 3')
  })

  it('deals with dead letters', async () => {
    expect((await talk('mission', 'dead', 'list')).out).toContain('no such actor')
    expect(await talk('mission', 'dead', 'retry', 'letter-1')).toMatchObject({ code: 3 })
    expect(await talk('mission', 'dead', 'drop', 'letter-1')).toMatchObject({ code: 0, out: 'dropped letter-1\n' })
    expect((await talk('mission', 'dead', 'list')).out).toBe('no dead letters\n')
    expect((await talk('mission', 'dead', 'drop', 'letter-1')).code).not.toBe(0)
  })

  it('does not know what is unknown', async () => {
    expect(await talk('mission', 'show', 'm-zzzzzzzz-zzzzzzzzzzzz')).toMatchObject({ code: 3, out: '' })
  })
})

describe('the mesh', () => {
  it('shows nodes, capabilities and work', async () => {
    const nodes = await talk('nodes')
    expect(nodes.out).toContain('node-a (here)')
    expect(nodes.out).toContain('skein doctor')
    expect(JSON.parse((await talk('nodes', '--json')).out)).toHaveLength(2)
    expect((await talk('capabilities')).out).toBe('no live node offers anything\n')
    expect((await talk('top')).out).toContain('0 tasks running')
  })
})

describe("this machine's node", () => {
  it('is found through its data directory, with its token', async () => {
    const guarded = await startBridge({ tokens: { 'secret-token-of-ada': 'ada' } })
    await writeRunFile(folder, { pid: process.pid, peerId: selfPeer, name: 'goose', addrs: [], http: guarded.bridge.url, token: 'secret-token-of-ada' })
    expect(await say(['nodes', '--data', folder])).toMatchObject({ code: 0, err: '' })
    expect(await say(['nodes', '--url', guarded.bridge.url])).toMatchObject({ code: 3 })
    expect(await say(['nodes', '--url', guarded.bridge.url], { env: { SKEIN_TOKEN: 'secret-token-of-ada' } })).toMatchObject({ code: 0 })
    await removeRunFile(folder, process.pid + 1)
    expect(await readRunFile(folder)).toBeDefined()
    await removeRunFile(folder, process.pid)
    expect(await readRunFile(folder)).toBeUndefined()
  })

  it('is not taken for running by what a dead process left', async () => {
    writeFileSync(join(folder, 'run.json'), JSON.stringify({ pid: 2 ** 22 + 1, peerId: 'x', name: 'x', addrs: [], http: 'http://127.0.0.1:9' }))
    expect(await readRunFile(folder)).toBeUndefined()
    writeFileSync(join(folder, 'run.json'), 'garbage')
    expect(await readRunFile(folder)).toBeUndefined()
  })

  it('prints the line that joins another', async () => {
    expect(await say(['invite', '--data', folder])).toMatchObject({ code: 3, out: '' })
    const key = createMeshKey()
    await adoptMeshKey(folder, key)
    await writeRunFile(folder, { pid: process.pid, peerId: selfPeer, name: 'goose', addrs: ['/ip4/192.0.2.7/tcp/4747'] })
    const said = await say(['invite', '--data', folder])
    expect(parseInvite(said.out.replace('skein join ', ''))).toEqual({ meshKey: key, addrs: ['/ip4/192.0.2.7/tcp/4747'], name: 'goose' })
  })
})

describe('doctor', () => {
  const deadAddr = '/ip4/127.0.0.1/tcp/9'

  beforeEach(() => {
    bridge.mesh.setNodes([
      { peerId: selfPeer, name: 'node-a', self: true, state: 'connected' },
      { peerId: otherPeer, name: 'node-b', self: false, state: 'gone', lastSeenAgoMs: 5_000, fault: fault('owner-unreachable', 'the connection was lost') },
    ])
    bridge.mesh.askNode = async (_peer, about) => about === 'peers'
      ? { connections: [], dialFailures: [{ peer: otherPeer, addr: deadAddr, kind: 'refused', reason: 'nothing listens there', atWallMs: 1, attempts: 3 }, { addr: '/ip4/192.0.2.9/tcp/4747', kind: 'wrong-mesh-key', reason: 'it does not have this mesh key', atWallMs: 1, attempts: 1 }] }
      : about === 'logs' ? [{ atWallMs: 1, level: 'warn', name: 'dial.failed', fields: { detail: 'token=abc skein://c2VjcmV0' } }] : { ok: true }
  })

  it('names the node that cannot be reached, why, and what to do', async () => {
    const said = await talk('doctor')
    expect(said.code).toBe(1)
    const line = said.out.split('\n').find((text) => text.includes('node-b'))
    expect(line).toContain('its connection was lost, last heard 5.0 s ago')
    expect(line).toContain(`${deadAddr}: nothing listens there (3 attempts in a row)`)
    expect(said.out).toContain('→ look whether the node runs there')
    expect(said.out).toContain('/ip4/192.0.2.9/tcp/4747: it does not have this mesh key')
    expect(said.out).toContain('the mesh key fingerprints must be the same')
  })

  it('looks closely at one node, by name or address', async () => {
    const byName = JSON.parse((await talk('doctor', 'node-b', '--json')).out) as { findings: { about: string; detail: string }[] }
    expect(byName.findings.find((finding) => finding.about === deadAddr)?.detail).toMatch(/tried from this machine/)
    const port = new URL(bridge.bridge.url).port
    expect((await talk('doctor', `127.0.0.1:${port}`)).out).toContain('something listens there')
    expect((await talk('doctor', 'swan')).out).toContain('never heard of a node of this name')
  })

  it('says what is wrong with the logs of the node, one finding each', async () => {
    const healthy = { admitted: 'yes', roster: 'led', keepers: [{ name: 'node-a', connected: true }, { name: 'node-b', connected: false }], groups: 66, leads: 65, leaderless: 0, underReplicated: 0, damaged: [], room: 'enough' }
    const findings = async (report: object): Promise<{ level: string; about: string; detail: string; next?: string }[]> => {
      bridge.mesh.askNode = (_peer, about) => Promise.resolve(about === 'logs' ? [] : about === 'peers' ? { dialFailures: [] } : { replication: { ...healthy, ...report } })
      const all = (JSON.parse((await talk('doctor', '--json')).out) as { findings: { level: string; about: string; detail: string; next?: string }[] }).findings
      return all.filter(({ about }) => ['roster', 'logs', 'disk'].includes(about))
    }
    expect(await findings({})).toEqual([{ level: 'good', about: 'logs', detail: 'this node is a member of 66 replicated logs and leads 65' }])
    expect(await findings({ roster: 'unreachable', groups: 0 })).toMatchObject([{ level: 'problem', about: 'roster', detail: expect.stringContaining('node-b is away, of the keepers node-a, node-b') as string, next: expect.stringContaining('majority') as string }])
    expect(await findings({ admitted: 'not-yet', groups: 0 })).toMatchObject([{ level: 'note', about: 'roster', detail: expect.stringContaining('has not admitted this node yet') as string }])
    expect(await findings({ underReplicated: 3, groups: 0 })).toMatchObject([{ level: 'note', about: 'logs', detail: expect.stringContaining('fewer nodes keep 3 logs led here than should') as string, next: expect.stringContaining('skein nodes') as string }])
    expect(await findings({ damaged: ['m-abcdefgh-000000000000'], groups: 0 })).toMatchObject([{ level: 'problem', about: 'logs', detail: expect.stringContaining('m-abcdefgh-000000000000') as string, next: expect.stringContaining('skein store verify') as string }])
    expect(await findings({ room: 'low', groups: 0 })).toMatchObject([{ level: 'problem', about: 'disk', detail: expect.stringContaining('runs low') as string }])
    expect(await findings({ room: 'full', groups: 0 })).toMatchObject([{ level: 'problem', about: 'disk', detail: expect.stringContaining('is full') as string }])
  })

  it('writes a bundle without secrets', async () => {
    await adoptMeshKey(folder, createMeshKey())
    const said = await talk('doctor', '--bundle', 'b.json')
    expect(said.out).toContain(join(folder, 'b.json'))
    const text = readFileSync(join(folder, 'b.json'), 'utf8')
    expect(text).not.toContain('c2VjcmV0')
    expect(text).not.toContain(readFileSync(join(folder, 'mesh.key'), 'utf8').split('\n')[2])
    expect(JSON.parse(text)).toMatchObject({ format: 'skein-doctor-1', bridge: { value: { nodes: expect.any(Array) as unknown, logs: { value: expect.any(Array) as unknown } } } })
  })

  it('says what to do when nothing runs', async () => {
    const said = await say(['doctor', '--url', 'http://127.0.0.1:9'], { cwd: folder, env: { SKEIN_DATA: folder } })
    expect(said.code).toBe(1)
    expect(said.out).toContain('no node runs on the data directory')
  })
})

it('keeps foreign control characters off the terminal', async () => {
  bridge.mesh.setNodes([{ peerId: PeerId.parse('12D3KooWEvil'), name: 'evil\u001b[2J', self: false, state: 'connected' }])
  expect((await talk('nodes')).out).not.toContain('\u001b')
})
