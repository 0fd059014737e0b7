/** What the campaign holds against the mesh, and what it does not: histories made by hand. */
import { beforeEach, describe, expect, it } from 'vitest'
import { History, type LedgerLine, type MissionHistory } from '../../scripts/chaos/history.ts'
import { something } from '../../scripts/chaos/linearizable.ts'
import { judge } from '../../scripts/chaos/verdict.ts'

let history: History
let mission: MissionHistory
const leaf = 'root/group-1/leaf-1'
const award = (attempt: number): string => `m-1:${leaf}#${attempt}`

beforeEach(() => {
  history = new History()
  mission = history.begin('key-1', 6, 0)
  mission.ids.add('m-1')
  mission.acknowledgedMs = 5
})

const line = (phase: LedgerLine['phase'], atMs: number, more: Partial<LedgerLine> = {}): LedgerLine => ({ mission: 'key-1', missionId: 'm-1', task: leaf, label: 'leaf-1', attempt: 1, effects: 'none', phase, atMs, pid: 1, ...more })
const read = (invokedMs: number, returnedMs: number, value?: string | typeof something, task = leaf): void => history.read(mission, { invokedMs, returnedMs, by: 'node-a', tasks: [{ task, composite: false, value }] })
const awarded = (index: number, attempt: number): void => history.event(mission, index, { type: 'awarded', atWallMs: index, award: { awardId: award(attempt), taskId: leaf, attempt, worker: 'w' } }, index, index, 'node-a')
const accepted = (index: number, seenMs: number, attempt = 1, result: unknown = { label: 'leaf-1' }, by = 'node-a'): void => history.event(mission, index, { type: 'accepted', atWallMs: index, taskId: leaf, awardId: award(attempt), result }, 0, seenMs, by)
const found = (): Record<string, number> => Object.fromEntries(judge(history).expectations.filter(({ violations }) => violations.length > 0).map(({ name, violations }) => [name, violations.length]))

function goodRun(): void {
  read(6, 7)
  awarded(2, 1)
  history.ledger.push(line('start', 8), line('end', 9))
  accepted(3, 12)
  read(13, 14, award(1))
  read(15, 16, something)
  history.ended(mission, 'completed', 20)
}

describe('a campaign', () => {
  it('holds nothing against a mesh that did what it had promised', () => {
    goodRun()
    expect(found()).toEqual({})
    expect(judge(history).notes).toMatchObject({ 'missions acknowledged': 1, 'leaves run': 1, 'tasks checked for linearizability': 1 })
  })

  it('nor a mission that was never acknowledged', () => {
    goodRun()
    history.begin('key-2', 6, 0)
    expect(found()).toEqual({})
  })

  it.each<[string, string, () => void]>([
    ['a mission that has not completed', 'missions lost', () => { mission.state = 'running' }],
    ['a mission that failed', 'missions lost', () => { mission.state = 'failed' }],
    ['a mission that nobody knows', 'missions lost', () => { mission.state = 'not known any more' }],
    ['two missions under one key', 'double submissions', () => { mission.ids.add('m-2') }],
    ['one award with two results', 'double acceptances', () => accepted(3, 30, 1, { label: 'another' })],
    ['an acceptance that is gone again', 'unordered reads', () => read(40, 41)],
    ['an acceptance that is gone for a reader who lists no such task', 'unordered reads', () => history.read(mission, { invokedMs: 40, returnedMs: 41, by: 'node-b', tasks: [] })],
    ['another event at the same index', 'logs that differ', () => history.event(mission, 2, { type: 'paused', atWallMs: 1 }, 30, 31, 'node-b')],
    ['a submission that was refused for good', 'refused submissions', () => { history.refusals.push('409') }],
  ])('holds against it: %s', (_title, name, change) => {
    goodRun()
    change()
    expect(found()[name]).toBe(1)
  })

  it('holds against it two accepted awards, whoever saw them', () => {
    goodRun()
    read(30, 31, award(2))
    expect(found()).toMatchObject({ 'double acceptances': 1, 'unordered reads': 1 })
  })

  it('holds against it an acceptance before anything ran', () => {
    goodRun()
    history.ledger.splice(0)
    history.ledger.push(line('start', 15))
    expect(found()['accepted without a run']).toBe(1)
  })

  it('takes the order of fields for what it is', () => {
    goodRun()
    history.event(mission, 3, { awardId: award(1), result: { label: 'leaf-1' }, taskId: leaf, atWallMs: 3, type: 'accepted' }, 0, 30, 'node-b')
    expect(found()).toEqual({})
  })

  it('does not take silence about the root for an empty register', () => {
    goodRun()
    history.read(mission, { invokedMs: 20, returnedMs: 21, by: 'node-a', tasks: [{ task: leaf, composite: false, value: award(1) }, { task: 'root', composite: true, value: something }] })
    history.read(mission, { invokedMs: 30, returnedMs: 31, by: 'node-b', rootless: true, tasks: [{ task: leaf, composite: false, value: award(1) }] })
    expect(found()).toEqual({})
    history.read(mission, { invokedMs: 40, returnedMs: 41, by: 'node-b', tasks: [{ task: leaf, composite: false, value: award(1) }] })
    expect(found()).toEqual({ 'unordered reads': 1 })
  })
})

describe('a start after the acceptance was seen', () => {
  it('counts when its award is newer than the acceptance', () => {
    goodRun()
    awarded(7, 2)
    history.ledger.push(line('start', 25, { attempt: 2 }))
    expect(found()).toEqual({ 'accepted subtasks run again': 1 })
  })

  it('counts when a task with external effects began without a committed award', () => {
    goodRun()
    history.ledger.push(line('start', 25, { attempt: 3, effects: 'external' }))
    expect(found()).toEqual({ 'accepted subtasks run again': 1 })
  })

  it.each<[string, () => void]>([
    ['its award was older: a node that had been stopped was late', () => history.ledger.push(line('start', 25))],
    ['it was pure, and its award was never committed', () => history.ledger.push(line('start', 25, { attempt: 3 }))],
  ])('does not count when %s', (_title, change) => {
    goodRun()
    change()
    expect(found()).toEqual({})
    expect(judge(history).notes['late starts under an award older than the acceptance']).toBe(1)
  })

  it('is no start after it when nobody had seen it yet', () => {
    goodRun()
    history.ledger.push(line('start', 11, { attempt: 2 }))
    expect(found()).toEqual({})
  })
})
