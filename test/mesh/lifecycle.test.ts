/** Nodes come and go: graceful stops, forced ones, joins by invite, restarts. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MissionRequestInput } from '../../node/http/client.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { AttemptView } from '../../protocols/tasking/views.ts'
import { type RealMesh, type RealNode, namedNodes, startRealMesh } from '../support/real-mesh.ts'
import { repositoryFolder, startSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

const skill = join(repositoryFolder, 'test', 'support', 'slow-task.skill.ts')
const flags = ['--skill', skill, '--slots', '2', '--set', 'limits.bidWindowMs=2000']

let mesh: RealMesh
beforeAll(async () => {
  mesh = await startRealMesh(namedNodes(3, { flags }))
}, 120_000)
afterAll(() => mesh?.stop(), 120_000)

function waiting(count: number, ms: number, journal?: string): MissionRequestInput {
  const tasks = Object.fromEntries(Array.from({ length: count }, (_, index) => [`task-${index + 1}`, { capability: 'test.wait', input: { label: `task-${index + 1}`, ms, ...(journal === undefined ? {} : { journal }) } }]))
  return { plan: { name: 'waiting', tasks } } as MissionRequestInput
}

async function attemptsOf(node: RealNode, id: MissionId): Promise<AttemptView[]> {
  return (await node.client.why(id)).tasks.filter((task) => task.capability === 'test.wait').flatMap((task) => task.attempts)
}

async function completed(node: RealNode, id: MissionId): Promise<void> {
  await until(async () => {
    const { state, fault } = await node.client.mission(id)
    if (state === 'failed' || state === 'cancelled') throw new Error(`${state}: ${fault?.detail ?? ''}`)
    return state === 'completed'
  }, { what: 'the mission to complete', context: mesh.lastWords })
}

/** A node other than the asked one that is at work on a leaf now. */
async function busyNode(asked: RealNode, id: MissionId, except: readonly string[] = []): Promise<RealNode> {
  return until(async () => {
    const attempt = (await attemptsOf(asked, id)).find((known) => known.outcome === 'running' && known.workerName !== asked.name && !except.includes(known.workerName))
    const node = attempt === undefined ? undefined : mesh.node(attempt.workerName)
    // Its own log says that the award reached it.
    return node?.facts('award.taken').some((fact) => fact['award'] === attempt?.awardId) === true ? node : undefined
  }, { what: 'another node to be at work', context: mesh.lastWords })
}

async function stateSeen(by: RealNode, of: RealNode): Promise<{ state: string; why: string }> {
  const seen = (await by.client.nodes()).find((node) => node.peerId === of.peerId)
  return { state: seen?.state ?? 'unknown', why: seen?.fault?.detail ?? '' }
}

function journalLines(path: string): string[] {
  return readFileSync(path, 'utf8').trim().split('\n')
}

describe('a graceful stop', () => {
  it('finishes what runs, takes nothing more and withdraws the advert; the mission completes and nothing runs twice', async () => {
    const owner = mesh.node('node-a')
    const journal = join(mesh.folder, `journal-${randomUUID()}`)
    const { id } = await owner.client.submit(waiting(9, 1_500, journal))
    const leaver = await busyNode(owner, id)
    leaver.signal('SIGTERM')
    const seen = await until(async () => {
      const now = await stateSeen(owner, leaver)
      return now.state === 'leaving' || now.why === 'it left' ? now : undefined
    }, { what: `${owner.name} to hear that ${leaver.name} leaves` })
    expect(['leaving', 'gone', 'unknown']).toContain(seen.state)
    expect(await leaver.exited).toMatchObject({ code: 0, signal: null })
    await completed(owner, id)
    const attempts = await attemptsOf(owner, id)
    // An award that was on its way to the leaver is refused and goes to another at once; nothing is lost.
    expect(attempts.filter((attempt) => attempt.outcome === 'accepted')).toHaveLength(9)
    for (const attempt of attempts) if (attempt.outcome !== 'accepted') expect(attempt).toMatchObject({ outcome: 'refused', workerName: leaver.name })
    // It had work when it was asked to stop, and finished it.
    expect(leaver.facts('award.done').length).toBe(leaver.facts('award.taken').length)
    expect(journalLines(journal).filter((line) => line.startsWith('start')).map((line) => line.split(' ')[1]).sort()).toEqual(Array.from({ length: 9 }, (_, index) => `task-${index + 1}`).sort())
    await until(async () => (await stateSeen(owner, leaver)).state !== 'connected', { what: 'its advert to be gone' })
    for (const capability of await owner.client.capabilities()) expect(capability.providers.map((provider) => provider.peerId)).not.toContain(leaver.peerId)

    const back = await mesh.restart(leaver.name)
    expect(back.peerId).toBe(leaver.peerId)
    await mesh.joined()
  })

  it('hands back what it cannot finish in time: another node has it at once', async () => {
    const owner = mesh.node('node-a')
    const hasty = await mesh.start({ name: 'hasty', flags: [...flags, '--set', 'limits.drainMs=300'] })
    await mesh.joined()
    const { id } = await owner.client.submit(waiting(8, 4_000))
    await until(async () => (await attemptsOf(owner, id)).some((attempt) => attempt.workerName === 'hasty') && hasty.facts('award.taken').length > 0, { what: 'work for the hasty node', context: mesh.lastWords })
    hasty.signal('SIGTERM')
    expect(await hasty.exited).toMatchObject({ code: 0 })
    await completed(owner, id)
    const tasks = (await owner.client.why(id)).tasks.filter((task) => task.attempts.some((attempt) => attempt.workerName === 'hasty'))
    expect(tasks.length).toBeGreaterThan(0)
    for (const { attempts } of tasks) {
      const [first, second] = attempts
      expect(first).toMatchObject({ workerName: 'hasty', outcome: 'lost' })
      expect(first?.fault?.detail).toMatch(/stopping|handed back/)
      expect(second).toMatchObject({ outcome: 'accepted' })
      expect(second?.workerName).not.toBe('hasty')
    }
  })

  it('becomes a forced one by a second signal', async () => {
    const owner = mesh.node('node-a')
    // Left alone it would wait ten minutes for its task: that it ends at all is the second signal's work.
    const stubborn = await mesh.start({ name: 'stubborn', flags: [...flags, '--set', 'limits.drainMs=600000'] })
    await mesh.joined()
    const { id } = await owner.client.submit(waiting(8, 100_000))
    await until(() => stubborn.facts('award.taken').length > 0, { what: 'work for the stubborn node', context: mesh.lastWords })
    stubborn.signal('SIGTERM')
    await until(async () => (await stateSeen(owner, stubborn)).state === 'leaving', { what: 'the drain to begin' })
    expect(stubborn.isRunning()).toBe(true)
    // Signals in quick succession count as one, so the second keeps its distance.
    await sleep(400)
    stubborn.signal('SIGTERM')
    expect(await stubborn.exited).toMatchObject({ code: 0, signal: null })
    await owner.client.cancel(id, 'the test is over')
    await until(async () => (await owner.client.mission(id)).state === 'cancelled', { what: 'the mission to be cancelled' })
  })
})

it('a machine joins by the line that invite prints, and works', async () => {
  const owner = mesh.node('node-a')
  const { invite } = await owner.skein<{ invite: string }>(['invite'])
  const dataDir = join(mesh.folder, 'guest')
  const guest = startSkein(['join', invite, '--json', '--data', dataDir, '--name', 'guest', '--listen-host', '127.0.0.1', '--listen-port', '0', '--http-port', '0', '--no-mdns', ...flags], { env: mesh.env })
  try {
    await until(async () => (await owner.client.nodes()).some((node) => node.name === 'guest' && node.state === 'connected' && node.advert !== undefined), { what: 'the guest to be seen', context: guest.err })
    const { id } = await owner.client.submit(waiting(8, 500))
    await completed(owner, id)
    expect((await attemptsOf(owner, id)).map((attempt) => attempt.workerName)).toContain('guest')
    // Joined once, it needs no invite again: the mesh's key and its members are on its disk.
    guest.child.kill('SIGINT')
    expect((await guest.ended).code).toBe(0)
    const again = startSkein(['start', '--json', '--data', dataDir, '--name', 'guest', '--listen-host', '127.0.0.1', '--listen-port', '0', '--http-port', '0', '--no-mdns'], { env: mesh.env })
    try {
      await until(async () => (await stateOf(owner, 'guest')) === 'connected', { what: 'the guest to be back', context: again.err })
    } finally {
      again.child.kill('SIGINT')
      await again.ended
    }
  } finally {
    guest.child.kill('SIGKILL')
  }
})

async function stateOf(by: RealNode, name: string): Promise<string | undefined> {
  return (await by.client.nodes()).find((node) => node.name === name)?.state
}

describe('an owner that is stopped and started again', () => {
  it('finds its missions, carries on with the unfinished one and repeats nothing', async () => {
    const owner = mesh.node('node-b')
    const journal = join(mesh.folder, `journal-${randomUUID()}`)
    const done = await owner.client.submit(waiting(2, 10), { key: 'finished-before' })
    await completed(owner, done.id)
    const before = await owner.client.result(done.id)
    const { id } = await owner.client.submit(waiting(12, 1_000, journal))
    await until(async () => (await attemptsOf(owner, id)).some((attempt) => attempt.outcome === 'accepted'), { what: 'a first finished task' })
    owner.signal('SIGTERM')
    expect(await owner.exited).toMatchObject({ code: 0 })
    const finishedBefore = new Set(journalLines(journal).filter((line) => line.startsWith('end')).map((line) => line.split(' ')[1]))

    const back = await mesh.restart('node-b')
    expect(back.peerId).toBe(owner.peerId)
    await completed(back, id)
    expect(await back.client.result(done.id)).toEqual(before)
    expect((await back.client.missions()).map((mission) => mission.id)).toEqual(expect.arrayContaining([done.id, id]))
    // The same key still means the same mission.
    expect((await back.client.submit(waiting(2, 10), { key: 'finished-before' })).id).toBe(done.id)
    const attempts = await attemptsOf(back, id)
    expect(attempts.filter((attempt) => attempt.outcome === 'accepted')).toHaveLength(12)
    expect(finishedBefore.size).toBeGreaterThan(0)
    const runs = journalLines(journal).filter((line) => line.startsWith('start')).map((line) => line.split(' ')[1])
    for (const label of finishedBefore) expect(runs.filter((run) => run === label), label).toHaveLength(1)
  })
})
