/** How long a mission stands still when its owner, or one of its workers, dies. Over the public surface only. */
import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { Figure } from './figures.ts'
import { until } from './figures.ts'
import { type BenchMesh, type BenchNode, createBenchMesh, waitingSkills } from './nodes.ts'
import { type WatchedMission, waitingPlan, watchedMission } from './watched.ts'

export interface DeathsOptions {
  readonly runs: number
  /** Missions that live at the same time. */
  readonly missions: number
  /** Hears how far it is. */
  say(text: string): void
}

const replicas = ['a', 'b', 'c']

/** Three nodes keep logs (and work, where `theyWork`); the bridge that everything is watched at does neither and is never killed. */
async function startMesh(workers: readonly string[], theyWork: boolean): Promise<{ mesh: BenchMesh; watcher: BenchNode }> {
  const mesh = createBenchMesh()
  try {
    const skills = waitingSkills(mesh.folder)
    for (const name of replicas) await mesh.start(name, theyWork ? ['--slots', '2', ...skills] : ['--duties', 'replica,bridge'])
    for (const name of workers) await mesh.start(name, ['--duties', 'worker,bridge', '--slots', '4', ...skills])
    const watcher = await mesh.start('watcher', ['--duties', 'bridge'])
    await mesh.joined()
    await inThrees(watcher)
    return { mesh, watcher }
  } catch (thrown) {
    await mesh.stop()
    throw thrown
  }
}

/** Until new missions get three voters: the nodes have to be admitted to the roster first. */
async function inThrees({ client }: BenchNode): Promise<void> {
  await until('that a mission is kept by three nodes', async () => {
    const mission = await watchedMission(client, waitingPlan(1, 0, 'bench.wait'))
    try {
      return await until('three voters', () => (mission.voters().length >= replicas.length ? true : undefined), 3_000)
    } finally {
      await mission.end()
    }
  }, 120_000)
}

async function startMissions(watcher: BenchNode, count: number, tasks: number, ms: number, capability: 'bench.wait' | 'bench.touch'): Promise<WatchedMission[]> {
  return Promise.all(Array.from({ length: count }, () => watchedMission(watcher.client, waitingPlan(tasks, ms, capability))))
}

/** Owner killed (kill -9) → the first award that the new owner makes. */
export async function ownerKilled({ runs, missions: count, say }: DeathsOptions): Promise<Figure[]> {
  const made: number[] = []
  const heard: number[] = []
  const elected: number[] = []
  const tasks = 300
  const { mesh, watcher } = await startMesh([], true)
  try {
    for (let run = 1; run <= runs; run++) {
      const missions = await startMissions(watcher, count, tasks, 500, 'bench.wait')
      // In threes, with tasks that are done, running and waiting. They share the places: some begin when others are nearly done.
      const isUnderWay = (mission: WatchedMission): boolean => {
        const accepted = mission.heard.filter(({ event }) => event.type === 'accepted').length
        return mission.voters().length >= replicas.length && accepted > 0 && accepted < tasks * 0.8
      }
      await until('that two missions work in threes', () => missions.filter(isUnderWay).length >= Math.min(2, count) || undefined)
      const owners = missions.filter(isUnderWay).map((mission) => mission.owner())
      const victim = mostFrequent(owners)
      const orphans = missions.filter((mission) => mission.owner() === victim && isUnderWay(mission)).map((mission) => ({ mission, lastIndex: mission.lastIndex() }))
      const name = mesh.living().find(({ peerId }) => peerId === victim)?.name
      if (name === undefined) throw new Error(`no node of this mesh owns the missions, but ${String(victim)}`)
      const at = await mesh.kill(name)
      for (const { mission, lastIndex } of orphans) {
        const takeover = await until('that somebody takes over', () => mission.next(lastIndex, 'took-over'))
        const award = await until('that the new owner awards', () => mission.next(takeover.index, 'awarded'))
        elected.push(takeover.event.atWallMs - at.wallMs)
        made.push(award.event.atWallMs - at.wallMs)
        heard.push(award.heardAtMs - at.monotonicMs)
      }
      say(`owner killed: run ${run} of ${runs}, ${orphans.length} of ${count} missions were its own`)
      await Promise.all(missions.map((mission) => mission.end()))
      await mesh.restart(name)
      await mesh.joined()
    }
  } finally {
    await mesh.stop()
  }
  const beside = `a member asks for votes within ${limits.lostLeaderMsMax} ms of the lost connection; a call waits up to ${limits.bidWindowMs} ms for bids`
  return [
    { name: 'owner killed → elected', unit: 'ms', values: elected },
    { name: 'owner killed → next award by the new owner', unit: 'ms', values: made, beside },
    { name: 'the same, as a watcher at another bridge hears it', unit: 'ms', values: heard },
  ]
}

/** Worker killed, or hung → its task is awarded again. */
export async function workerLost(how: 'killed' | 'hung', { runs, say }: DeathsOptions): Promise<Figure[]> {
  const workers = ['d', 'e', 'f']
  const { mesh, watcher } = await startMesh(workers, false)
  const figures: Figure[] = []
  try {
    for (const [capability, what] of [['bench.wait', 'no effects'], ['bench.touch', 'effects outside']] as const) {
      const values: number[] = []
      for (let run = 1; run <= runs; run++) {
        // Six tasks for twelve slots: there is room for those that are lost.
        const [mission] = await startMissions(watcher, 1, 6, 120_000, capability)
        if (mission === undefined) throw new Error('there is no mission')
        const running = await until('that all tasks are awarded', () => {
          const awards = mission.heard.flatMap(({ event }) => (event.type === 'awarded' && event.award.taskId !== 'root' ? [event.award] : []))
          return awards.length >= 6 ? awards : undefined
        })
        const victim = mostFrequent(running.map(({ worker }) => worker as string))
        const name = mesh.living().find(({ peerId }) => peerId === victim)?.name
        if (name === undefined) throw new Error(`no node of this mesh works, but ${String(victim)}`)
        // So that it is not the start of the skill that is measured.
        await sleep(1_000)
        const lastIndex = mission.lastIndex()
        const at = how === 'killed' ? await mesh.kill(name) : mesh.hang(name)
        for (const { taskId } of running.filter(({ worker }) => worker === victim)) {
          const again = await until('that the task is awarded again', () => mission.next(lastIndex, 'awarded', ({ award }) => award.taskId === taskId))
          values.push(again.event.atWallMs - at.wallMs - (how === 'hung' ? limits.leaseMs : 0))
        }
        say(`worker ${how}, ${what}: run ${run} of ${runs}`)
        await mission.end()
        if (how === 'hung') await mesh.kill(name)
        await mesh.restart(name)
        await mesh.joined()
      }
      figures.push({ name: `worker ${how}, ${what} → awarded again${how === 'hung' ? ', minus the lease' : ''}`, unit: 'ms', values, beside: besideOf(how, capability) })
    }
  } finally {
    await mesh.stop()
  }
  return figures
}

function besideOf(how: 'killed' | 'hung', capability: 'bench.wait' | 'bench.touch'): string {
  if (how === 'hung') return `the lease is ${limits.leaseMs} ms; it was renewed up to ${limits.pulseMs} ms before, and a silent connection may end first`
  return capability === 'bench.wait' ? `a call waits up to ${limits.bidWindowMs} ms for bids` : `the lease of ${limits.leaseMs} ms has to run out first`
}

function mostFrequent<Value>(values: readonly Value[]): Value | undefined {
  const counts = new Map<Value, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort(([, left], [, right]) => right - left)[0]?.[0]
}
