/** The rest of the mesh's planted bugs, and every scenario without one. */
import { describe, expect, it } from 'vitest'
import { plantedBugs, type PlantedBug } from '../../scripts/sim/bug-table.ts'
import { logBugs } from '../../scripts/sim/log-bug-table.ts'
import { hunt, huntInLog } from './planted/hunting.ts'

describe('the simulator', () => {
  it('finds nothing where nothing is planted', async () => {
    const results = await hunt(undefined, 'any', [...new Set(plantedBugs.map(({ scenario }) => scenario))], 2)
    expect(results.filter(({ found }) => found !== undefined)).toEqual([])
  }, 240_000)

  it.each(plantedBugs.filter((_, at) => at % 12 !== 0))('finds $name, which breaks $promise', async ({ name, promise, scenario }: PlantedBug) => {
    const [result] = await hunt(name, promise, [scenario])
    expect(result?.found, `broken besides: ${result?.others.join(' ')}`).toMatchObject({ promise })
  }, 120_000)
})

describe('the log’s own harnesses', () => {
  it.each(logBugs.filter((_, at) => at % 4 !== 0))('find $name', async ({ name, shows }) => {
    const [result] = await huntInLog(name)
    expect(shows.filter((words) => result?.found?.detail.includes(words)), result?.found?.detail ?? 'nothing was found').not.toEqual([])
  }, 60_000)
})
