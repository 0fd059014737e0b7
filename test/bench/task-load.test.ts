import { describe, expect, it } from 'vitest'
import { figuresOf, loads, measureNames, measureTasks } from '../../scripts/bench/tasks/measure.ts'
import { type TaskSystem, taskInput } from '../../scripts/bench/tasks/system.ts'

/** Takes a second for each saturated run, and one, two, three … milliseconds for tasks one by one. */
function steadySystem(done: string[]): TaskSystem {
  return {
    name: 'steady',
    processes: [{ name: 'this one', pid: process.pid }],
    saturate(tasks) {
      done.push(`saturate ${tasks}`)
      return Promise.resolve({ tookMs: 1_000, more: [{ what: 'its own', unit: 'ms', value: 7 }] })
    },
    oneByOne(tasks) {
      done.push(`one by one ${tasks}`)
      return Promise.resolve({ timesMs: Array.from({ length: tasks }, (_, index) => index + 1), more: [{ what: 'its waiting', unit: 'ms', value: 3 }] })
    },
    fanOut(tasks, ms) {
      done.push(`fan-out ${tasks} ${ms}`)
      return Promise.resolve(ms + 10)
    },
  }
}

const options = { loads, runs: 2, tasks: 500, oneByOne: 20, fanOutTasks: 100, fanOutMs: 50, fanOuts: 1, restMs: 0, say: () => undefined }

describe('the load of tasks', () => {
  it('is the same for whoever runs them, after a warm-up that does not count', async () => {
    const done: string[] = []
    const measures = await measureTasks(steadySystem(done), options)
    expect(done).toEqual([
      'saturate 500', 'saturate 500', 'saturate 500', 'one by one 10', 'one by one 20', 'one by one 20',
      'fan-out 100 0', 'fan-out 100 0', 'fan-out 100 0', 'fan-out 100 50', 'fan-out 100 50', 'fan-out 100 50',
    ])
    expect(measures.get(measureNames.rate)).toEqual({ unit: 'tasks/s', values: [500, 500] })
    expect(measures.get('its own')).toEqual({ unit: 'ms', values: [7, 7] })
    expect(measures.get('its waiting')).toEqual({ unit: 'ms', values: [3, 3] })
    expect(measures.get(measureNames.p50)?.values).toEqual([10, 10])
    expect(measures.get(measureNames.p95)?.values).toEqual([19, 19])
    expect(measures.get(measureNames.fanOut(100, 0))?.values).toEqual([10])
    expect(measures.get(measureNames.fanOut(100, 50))?.values).toEqual([60])
  })

  it('is put on in part', async () => {
    const done: string[] = []
    await measureTasks(steadySystem(done), { ...options, loads: ['unloaded'] })
    expect(done).toEqual(['one by one 10', 'one by one 20', 'one by one 20'])
  })

  it('is told with its yardsticks', async () => {
    const measures = await measureTasks(steadySystem([]), { ...options, loads: ['saturated'], runs: 1 })
    const [rate] = figuresOf('steady', measures, (measure) => (measure === measureNames.rate ? [{ what: 'a peer', value: 250 }] : []))
    expect(rate).toEqual({ name: 'steady: saturated', unit: 'tasks/s', values: [500], against: [{ what: 'a peer', value: 250 }] })
  })

  it('has tasks of 200 bytes', () => {
    expect(JSON.stringify(taskInput())).toHaveLength(200)
  })
})
