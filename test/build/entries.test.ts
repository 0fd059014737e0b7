import { describe, expect, test } from 'vitest'
import { findEntries } from '../../scripts/build.ts'

const always = { 'node/cli/main.ts': '', 'scripts/sim.ts': '', 'node/skills/define-skill.ts': '' }
const entriesOf = (sources: Readonly<Record<string, string>>): Record<string, string> => Object.fromEntries(findEntries(new Map(Object.entries({ ...always, ...sources }))))

describe('the entries of the bundle', () => {
  test('are the command line, the simulator, the API for skills, every thread and every sibling module', () => {
    expect(entriesOf({
      'node/skills/pool.ts': "new Worker(siblingModule(import.meta.url, './skill-thread.worker'), {})",
      'node/skills/skill-thread.worker.ts': '',
      'node/storage/hashing.worker.ts': '',
      'node/skills/built-in.ts': "siblingModule(import.meta.url, './report/report-skill')",
      'node/skills/report/report-skill.ts': '',
    })).toEqual({
      skein: 'node/cli/main.ts',
      sim: 'scripts/sim.ts',
      'define-skill': 'node/skills/define-skill.ts',
      'skill-thread.worker': 'node/skills/skill-thread.worker.ts',
      'hashing.worker': 'node/storage/hashing.worker.ts',
      'report-skill': 'node/skills/report/report-skill.ts',
    })
  })

  test.each([
    ['two of one name', { 'node/a/thread.worker.ts': '', 'node/b/thread.worker.ts': '' }, /both become thread\.worker\.js/],
    ['a name that is computed', { 'node/a.ts': 'siblingModule(import.meta.url, name)' }, /not name its module by a plain string/],
    ['a module that is not there', { 'node/a.ts': "siblingModule(import.meta.url, './b')" }, /node\/b\.ts is not there/],
    ['a path built from the own place', { 'node/a.ts': "new URL('./page.html', import.meta.url)" }, /use siblingModule/],
    ['a path built from the own folder', { 'node/a.ts': "join(import.meta.dirname, 'x')" }, /use siblingModule/],
  ])('refuses %s', (_what, sources, message) => {
    expect(() => entriesOf(sources)).toThrow(message)
  })
})
