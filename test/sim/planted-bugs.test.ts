/** The checkers are tested by bugs: each is planted into the production code, and the simulator must find it within a few seeds. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { plantedBugs, type PlantedBug, type SourceBug } from '../../scripts/sim/bug-table.ts'
import { logBugs } from '../../scripts/sim/log-bug-table.ts'
import { plant, plantWhileLoading } from '../../scripts/sim/planted-bugs.ts'
import { checkers } from '../../sim/checkers/index.ts'
import { repositoryFolder } from '../support/skein-command.ts'
import { hunt, huntInLog, logSeeds } from './planted/hunting.ts'

/** Hunting takes a while: some of the bugs here, the others in `npm run test:long`. */
const huntedHere = plantedBugs.filter((_, at) => at % 12 === 0)
const logHuntedHere = logBugs.filter((_, at) => at % 4 === 0)

describe('the table of bugs', () => {
  it('has one for every checker', () => {
    const broken = new Set(plantedBugs.map(({ promise }) => promise))
    expect(checkers.map(({ promise }) => promise).filter((promise) => !broken.has(promise))).toEqual([])
    const names = [...plantedBugs, ...logBugs].map(({ name }) => name)
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
  })

  it.each<SourceBug>([...plantedBugs, ...logBugs])('$name fits the code as it stands', (bug) => {
    for (const file of new Set(bug.edits.map((edit) => edit.file))) {
      const source = readFileSync(join(repositoryFolder, file), 'utf8')
      expect(plant(bug, file, source)).not.toBe(source)
    }
  })

  it('is loud about a text that is gone, one that is there twice, and a name that is not there', () => {
    const bug: PlantedBug = { name: 'stale', promise: 'S1', why: '', scenario: 'calm', edits: [{ file: 'actors/names.ts', find: 'old text', replace: 'new text' }] }
    expect(() => plant(bug, 'actors/names.ts', 'newer text')).toThrow('actors/names.ts has 0 times the text it changes')
    expect(() => plant(bug, 'actors/names.ts', 'old text, old text')).toThrow('has 2 times')
    expect(plant(bug, 'actors/names.ts', 'some old text')).toBe('some new text')
    expect(plant(bug, 'actors/tuning.ts', 'old text')).toBe('old text')
    expect(() => plantWhileLoading('no-such-bug')).toThrow('names the bug "no-such-bug"')
  })
})

describe('the simulator', () => {
  it('finds nothing where nothing is planted', async () => {
    const results = await hunt(undefined, 'any', [...new Set(huntedHere.map(({ scenario }) => scenario))], 1)
    expect(results.filter(({ found }) => found !== undefined)).toEqual([])
  }, 240_000)

  it.each(huntedHere)('finds $name, which breaks $promise', async ({ name, promise, scenario }: PlantedBug) => {
    const [result] = await hunt(name, promise, [scenario])
    expect(result?.found, `broken besides: ${result?.others.join(' ')}`).toMatchObject({ promise })
  }, 120_000)

  it('does not run with a bug that cannot be planted', async () => {
    await expect(hunt('no-such-bug', 'any', ['calm'])).rejects.toThrow('no-such-bug')
  })
})

describe('the log’s own harnesses', () => {
  it('find nothing where nothing is planted', async () => {
    expect(await huntInLog(undefined)).toEqual([{ seedsRun: logSeeds }])
  }, 60_000)

  it.each(logHuntedHere)('find $name', async ({ name, shows }) => {
    const [result] = await huntInLog(name)
    expect(shows.filter((words) => result?.found?.detail.includes(words)), result?.found?.detail ?? 'nothing was found').not.toEqual([])
  }, 60_000)
})
