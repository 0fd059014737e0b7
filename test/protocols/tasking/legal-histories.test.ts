import { describe, expect, it } from 'vitest'
import { awardIdOf, type AwardId, type Digest, type Epoch, type Incarnation, type PeerId, type Principal, type TaskId } from '../../../protocols/kernel/ids.ts'
import { seededRandom, type Random } from '../../../protocols/kernel/prng.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { judgeEvent } from '../../../protocols/tasking/append-rules.ts'
import { decodeFold, encodeFold, foldSlice } from '../../../protocols/tasking/fold-snapshot.ts'
import { applyEvent, foldEvents, isTerminal, missionEnded, openMission, type MissionFold } from '../../../protocols/tasking/mission-state.ts'
import type { IndexedEvent, MissionEvent } from '../../../protocols/tasking/schema.ts'
import { awarded, missionId, planned, problem, spec, submitted } from './histories.ts'

const budgetUsd = 2

/** Something that somebody may try to append: right, late, repeated or plain wrong. */
function attempted(mission: MissionFold, past: readonly MissionEvent[], random: Random): MissionEvent {
  const pick = <T>(values: readonly T[]): T => values[random.below(values.length)] as T
  const tasks = [...mission.tasks.values()]
  const task = pick(tasks)
  const { taskId } = task.spec
  const epoch: Epoch = random.below(8) === 0 ? { lineage: 1, term: 1 + random.below(4) } : mission.epoch
  const awardId: AwardId = task.attempts.length > 0 && random.below(5) > 0 ? pick(task.attempts).award.awardId : awardIdOf(missionId, taskId, 1, epoch)
  const atWallMs = past.length
  const cites = tasks.flatMap((child) => (task.children.includes(child.spec.taskId) && child.acceptedAward !== undefined ? [child.acceptedAward] : []))
  switch (random.below(22)) {
    case 0:
    case 1: {
      const children = Array.from({ length: random.below(4) }, (_, i) => spec(`${random.below(12) === 0 ? pick(tasks).spec.taskId : taskId}/${pick(['a', 'b', 'c', 'd'])}${random.below(10) === 0 ? '' : i}`, random.below(3) === 0 ? 'composite' : 'leaf', random.below(2) === 0))
      return planned(taskId, ...children)
    }
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return awarded(taskId, Math.max(1, task.attempts.length + (random.below(6) === 0 ? 0 : 1)), { epoch, priceUsd: pick([0, 0, 0.01, 0.3]), worker: `worker-${random.below(3)}` as PeerId })
    case 7:
    case 8:
      return { type: 'award-ended', atWallMs, taskId, awardId, outcome: pick(['refused', 'lost', 'failed']), fault: problem }
    case 9:
    case 10:
    case 11:
    case 12:
      return { type: 'accepted', atWallMs, taskId, awardId: taskId === 'root' ? awardIdOf(missionId, taskId, 1, epoch) : awardId, result: { inline: atWallMs }, cites: random.below(6) === 0 ? cites.slice(1) : random.below(10) === 0 ? [...cites, awardId] : cites, tookMs: 1 }
    case 13:
      return taskId === 'root' && random.below(4) > 0 ? pick(past.length > 0 ? past : [submitted()]) : { type: 'dead', atWallMs, taskId, fault: problem }
    case 14:
      return random.below(3) === 0 ? { type: 'task-cancelled', atWallMs, taskId, reason: 'not needed' } : { type: 'retried', atWallMs, taskId }
    case 15:
      return { type: 'took-over', atWallMs, epoch: { lineage: mission.epoch.lineage, term: mission.epoch.term + random.below(3) - 1 }, owner: `worker-${random.below(3)}` as PeerId }
    case 16:
      return pick<MissionEvent>([{ type: 'paused', atWallMs }, { type: 'resumed', atWallMs }, { type: 'resumed', atWallMs }])
    case 17:
      return { type: 'changed', atWallMs, priority: 1 + random.below(10) }
    case 18:
      return pick<MissionEvent>([{ type: 'completed', atWallMs, result: { inline: atWallMs } }, ...(random.below(20) === 0 ? [{ type: 'failed', atWallMs, fault: problem }, { type: 'cancelled', atWallMs }, { type: 'cancel-requested', atWallMs, by: 'local' as Principal, reason: '' }] as const : [])])
    case 19: {
      const running = tasks.flatMap((one) => one.attempts.filter(({ outcome }) => outcome === 'running').map(({ award }) => award))
      const award = running.length > 0 && random.below(4) > 0 ? pick(running) : { taskId, awardId }
      return { type: 'checkpointed', atWallMs, taskId: award.taskId, awardId: award.awardId, checkpoint: { inline: random.below(3) } }
    }
    case 20:
      return pick<MissionEvent>([{ type: 'dead-dropped', atWallMs, taskId, by: 'local' as Principal }, { type: 'members', atWallMs, membership: { voters: [{ peer: `worker-${random.below(3)}` as PeerId, incarnation: 'aaaaaa' as Incarnation }], learners: [] } }, ...(random.below(4) === 0 ? [{ type: 'archived', atWallMs, archive: { blob: { $blob: 'a'.repeat(64) as Digest, sizeBytes: 9 } } }] as const : [])])
    default:
      return past.length > 0 ? pick(past) : submitted()
  }
}

interface History {
  readonly mission: MissionFold
  readonly applied: MissionEvent[]
  refused: number
  already: number
}

function history(seed: number, steps: number, eachStep: (history: History, event: MissionEvent) => void): History {
  const random = seededRandom([seed, 77])
  const made: History = { mission: openMission(submitted({ budgetUsd, leavesMax: 12 }), 1), applied: [], refused: 0, already: 0 }
  for (let step = 0; step < steps; step++) {
    const event = attempted(made.mission, made.applied, random)
    const before = JSON.stringify([...made.mission.tasks])
    const verdict = judgeEvent(made.mission, event)
    expect(JSON.stringify([...made.mission.tasks]), 'judging changes nothing').toBe(before)
    if (typeof verdict === 'object') made.refused += 1
    else if (verdict === 'already') made.already += 1
    else {
      applyEvent(made.mission, event, made.applied.length + 2)
      made.applied.push(event)
      eachStep(made, event)
    }
  }
  return made
}

/** What the events alone say, apart from the fold that is checked against it. */
class Ledger {
  readonly results = new Map<TaskId, AwardId>()
  readonly awards = new Map<TaskId, AwardId[]>()
  readonly live = new Map<TaskId, AwardId>()
  readonly parents = new Map<TaskId, TaskId[]>()
  committedUsd = 0
  readonly prices = new Map<AwardId, number>()

  add(event: MissionEvent): void {
    switch (event.type) {
      case 'planned':
        expect(this.parents.has(event.taskId), 'a task is planned once').toBe(false)
        this.parents.set(event.taskId, event.children.map((child) => child.taskId))
        return
      case 'awarded': {
        const { taskId, awardId, bid } = event.award
        expect(this.live.has(taskId), `S9: ${taskId} has one live award`).toBe(false)
        expect([...this.awards.values()].flat(), 'an award is given once').not.toContain(awardId)
        this.awards.set(taskId, [...(this.awards.get(taskId) ?? []), awardId])
        this.live.set(taskId, awardId)
        this.prices.set(awardId, bid.priceUsd)
        this.committedUsd += bid.priceUsd
        return
      }
      case 'award-ended':
        expect(this.live.get(event.taskId), 'only a live award ends').toBe(event.awardId)
        this.live.delete(event.taskId)
        if (event.outcome === 'refused') this.committedUsd -= this.prices.get(event.awardId) ?? 0
        return
      case 'accepted': {
        expect(this.results.has(event.taskId), `S7: ${event.taskId} has one result`).toBe(false)
        if (event.taskId !== 'root') expect(this.awards.get(event.taskId)?.at(-1), 'S8: the result is of the newest committed award').toBe(event.awardId)
        const children = (this.parents.get(event.taskId) ?? []).flatMap((child) => this.results.get(child) ?? [])
        expect([...event.cites].sort(), 'S11: exactly the accepted children').toEqual(children.sort())
        this.results.set(event.taskId, event.awardId)
        this.live.delete(event.taskId)
        return
      }
      case 'dead':
      case 'task-cancelled':
        for (const taskId of [...this.live.keys()]) if (taskId === event.taskId || taskId.startsWith(`${event.taskId}/`)) this.live.delete(taskId)
        return
      case 'checkpointed':
        expect(this.live.get(event.taskId), 'only who runs a task says how far it is').toBe(event.awardId)
        return
      case 'failed':
      case 'cancelled':
        this.live.clear()
        return
      default:
        return
    }
  }
}

const seeds = Array.from({ length: 60 }, (_, i) => i + 1)

describe('any history that the rules let through', () => {
  it('keeps S7, S8, S9, S11 and S16 at every step', () => {
    const seen = { results: 0, awards: 0, takeovers: 0, refused: 0, already: 0, completed: 0, retried: 0, checkpoints: 0, dropped: 0, archived: 0 }
    for (const seed of seeds) {
      const ledger = new Ledger()
      const made = history(seed, 400, ({ mission }, event) => {
        ledger.add(event)
        expect(ledger.committedUsd, `S16, seed ${seed}`).toBeLessThanOrEqual(budgetUsd + 1e-9)
        expect(mission.spentUsd, `seed ${seed}`).toBeCloseTo(ledger.committedUsd, 9)
        for (const [taskId, task] of mission.tasks) {
          const running = task.attempts.filter((attempt) => attempt.outcome === 'running').map((attempt) => attempt.award.awardId)
          expect(running, `S9 in the fold, seed ${seed}`).toEqual(ledger.live.has(taskId) ? [ledger.live.get(taskId)] : [])
          expect(task.state === 'accepted', `seed ${seed}, ${taskId}`).toBe(ledger.results.has(taskId))
          expect(task.acceptedAward).toBe(ledger.results.get(taskId))
          if (task.state === 'awarded') expect(running).toHaveLength(1)
          if (isTerminal(task.state) || task.state === 'pending') expect(running).toEqual([])
          // A result is never taken back, and nothing stays open below a task that has ended.
          if (isTerminal(task.state)) for (const child of task.children) expect(isTerminal(mission.tasks.get(child)?.state ?? 'pending'), `seed ${seed}: ${child} is open below ${taskId}`).toBe(true)
        }
        if (missionEnded(mission)) for (const task of mission.tasks.values()) expect(isTerminal(task.state), `L2, seed ${seed}: ${task.spec.taskId} is ${task.state} in a mission that has ended`).toBe(true)
        expect([...mission.tasks.values()].filter(({ spec: { kind } }) => kind === 'leaf')).toHaveLength(mission.leaves)
        expect(mission.leaves).toBeLessThanOrEqual(mission.limits.leavesMax)
      })
      seen.results += ledger.results.size
      seen.awards += [...ledger.awards.values()].flat().length
      seen.takeovers += made.applied.filter(({ type }) => type === 'took-over').length
      seen.completed += made.mission.state === 'completed' ? 1 : 0
      seen.retried += made.applied.filter(({ type }) => type === 'retried').length
      seen.checkpoints += made.applied.filter(({ type }) => type === 'checkpointed').length
      seen.dropped += made.applied.filter(({ type }) => type === 'dead-dropped').length
      seen.archived += made.applied.filter(({ type }) => type === 'archived').length
      seen.refused += made.refused
      seen.already += made.already
    }
    // The histories are worth checking: all of this has happened in them, often.
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(10)
  })

  it('folds to the same state, however often and in however many pieces it is read', () => {
    for (const seed of seeds.slice(0, 20)) {
      const { mission, applied } = history(seed, 300, () => undefined)
      const log: IndexedEvent[] = [submitted({ budgetUsd, leavesMax: 12 }), ...applied].map((event, i) => ({ index: i + 1, event }))
      const plain = (state: MissionFold) => ({ ...state, tasks: [...state.tasks] })
      expect(plain(foldEvents(log))).toEqual(plain(mission))
      expect(plain(foldEvents(structuredClone(log)))).toEqual(plain(mission))
    }
  })

  it('is the same after it was stored, and goes on as if it had not been', () => {
    for (const seed of seeds.slice(0, 20)) {
      const copies: { readonly upTo: number; readonly json: Json; readonly text: string }[] = []
      const { mission, applied } = history(seed, 300, ({ mission, applied }) => {
        const json = encodeFold(mission)
        if (applied.length % 4 === 0) copies.push({ upTo: applied.length, json, text: JSON.stringify(json) })
        expect(decodeFold(JSON.parse(JSON.stringify(json)) as Json), `seed ${seed}`).toStrictEqual(mission)
      })
      expect(copies.length).toBeGreaterThan(0)
      for (const { upTo, json, text } of copies) {
        expect(JSON.stringify(json), 'what happened later does not change it').toBe(text)
        const resumed = decodeFold(json)
        applied.slice(upTo).forEach((event, i) => applyEvent(resumed, event, upTo + i + 2))
        expect(resumed, `seed ${seed}`).toStrictEqual(mission)
        expect(JSON.stringify(json), 'what was made of it does not change it').toBe(text)
      }
    }
  })

  it('gives a manager all that is below its task, and the way there', () => {
    let deep = 0
    for (const seed of Array.from({ length: 200 }, (_, i) => i + 1)) {
      const { mission } = history(seed, 300, () => undefined)
      for (const [subtree, task] of mission.tasks) {
        const part = decodeFold(foldSlice(mission, subtree))
        const { tasks, ...rest } = part
        const { tasks: all, ...whole } = mission
        expect(rest).toStrictEqual(whole)
        for (const [taskId, one] of all) {
          const below = subtree === 'root' || taskId === subtree || taskId.startsWith(`${subtree}/`)
          if (below) expect(tasks.get(taskId), `seed ${seed}: ${taskId} of ${subtree}`).toStrictEqual(one)
          else if (subtree.startsWith(`${taskId}/`)) expect(tasks.get(taskId), `seed ${seed}: ${taskId} above ${subtree}`).toMatchObject({ spec: one.spec, state: one.state, planned: true, attempts: [] })
          else expect(tasks.has(taskId), `seed ${seed}: ${taskId} beside ${subtree}`).toBe(task.spec.after.includes(taskId))
        }
        for (const one of tasks.values()) for (const child of one.children) expect(tasks.has(child), `${child} is there`).toBe(true)
        if (subtree.split('/').length > 2) deep += 1
      }
    }
    expect(deep).toBeGreaterThan(10)
  })

  it('takes every event once: what was applied is known already or refused', () => {
    const repeatable = new Set<MissionEvent['type']>(['changed', 'took-over', 'retried', 'paused', 'resumed', 'failed', 'cancelled', 'completed', 'cancel-requested'])
    for (const seed of seeds.slice(0, 30)) {
      history(seed, 300, ({ mission }, event) => {
        if (!repeatable.has(event.type)) expect(judgeEvent(mission, event), `seed ${seed}: ${event.type}`).not.toBe('apply')
      })
    }
  })
})
