import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { Fault } from '../../../protocols/kernel/errors.ts'
import { loadSkill, loadSkills, watchSkill } from '../../../node/skills/loader.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { runSkillAlone } from '../../../node/skills/run-skill-alone.ts'
import { scaffoldSkill } from '../../../node/skills/scaffold-skill.ts'
import { createThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import type { SkillModule } from '../../../node/skills/skill-module.ts'
import { expectDone, follow, skillRun } from '../../contracts/skill-runner.ts'
import { until } from './conditions.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-test-'))
})
afterAll(() => rm(folder, { recursive: true }))

function skillText(capability: string, answer: string, extra = ''): string {
  return `import { defineSkill, z } from 'skein/skill'
export default defineSkill({ capability: '${capability}', version: '1.0', summary: 's', effects: 'none', ${extra}
  input: z.object({}), output: z.unknown(), run: () => ${answer} })
`
}

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text)
  return `./${name}`
}

async function refusal(...skills: string[]): Promise<Fault> {
  const outcome = await loadSkills({ skills, from: folder, builtIn: false }).catch((thrown: unknown) => thrown)
  if (!(outcome instanceof MeshError)) throw new Error('expected a MeshError')
  expect(outcome.fault.next).toBeTruthy()
  return outcome.fault
}

describe('loading', () => {
  it('describes a TypeScript file that has nothing installed beside it', async () => {
    const module = await loadSkill(await write('one.skill.ts', skillText('one.skill', '1 as number')), folder)
    expect(module).toMatchObject({ origin: './one.skill.ts', skills: [{ capability: 'one.skill', version: '1.0', kind: 'leaf', inputSchema: { type: 'object' } }] })
  })

  it('loads a package as seen from the folder', async () => {
    const home = join(folder, 'node_modules', '@acme', 'skills')
    await mkdir(home, { recursive: true })
    await writeFile(join(home, 'package.json'), JSON.stringify({ name: '@acme/skills', type: 'module', exports: { import: './main.js' } }))
    await writeFile(join(home, 'main.js'), skillText('acme.skill', '"from a package"'))
    const module = await loadSkill('@acme/skills', folder)
    const runner = createThreadSkillRunner({ skills: [module], blobs: createMemoryBlobs() })
    expect(expectDone(await follow(runner, skillRun('acme.skill', {})).ended).output).toEqual({ inline: 'from a package' })
    await runner.close()
  })

  it.each([
    ['a missing file', 'absent.skill.ts', undefined, 'there is no skill file'],
    ['a file of another kind', 'text.py', 'print()', 'not a JavaScript or TypeScript module'],
    ['a syntax error', 'syntax.ts', 'export default {', 'cannot be loaded'],
    ['no default export', 'named.ts', 'export const a = 1', 'no default export'],
    ['a default export that is no skill', 'object.ts', 'export default { capability: "x" }', 'is not a skill'],
    ['an empty array', 'empty.ts', 'export default []', 'empty array'],
    ['a bad capability name', 'name.ts', skillText('Bad Name', '1'), 'bad capability name'],
    ['a bad version', 'version.ts', skillText('a.b', '1').replace("'1.0'", "'1'"), 'bad version'],
    ['an import that is missing', 'import.ts', 'import "no-such-package-here"', 'no-such-package-here'],
    ['code that exits while imported', 'exit.ts', 'process.exit(0)', 'ended its thread'],
    ['code that throws while imported', 'throw.ts', 'throw new Error("at import")', 'at import'],
  ])('refuses %s', async (_what, name, text, why) => {
    const given = text === undefined ? `./${name}` : await write(name, text)
    const fault = await refusal(given)
    expect(fault.code).toBe('bad-request')
    expect(fault.detail).toContain(why)
  })

  it('refuses a package that is not installed', async () => {
    expect((await refusal('@acme/absent')).detail).toContain('@acme/absent')
  })

  it('refuses two skills with the same capability and version, and takes two versions', async () => {
    const first = await write('first.ts', skillText('same.name', '1'))
    const second = await write('second.ts', skillText('same.name', '2'))
    const newer = await write('newer.ts', skillText('same.name', '3').replace("'1.0'", "'1.1'"))
    const { detail } = await refusal(first, second)
    expect(detail).toContain('same.name@1.0 is defined twice')
    expect(detail).toContain('first.ts')
    const modules = await loadSkills({ skills: [first, newer], from: folder, builtIn: false })
    const runner = createThreadSkillRunner({ skills: modules, blobs: createMemoryBlobs() })
    expect(runner.capabilities().map(({ version }) => version).sort()).toEqual(['1.0', '1.1'])
    expect(expectDone(await follow(runner, skillRun('same.name', {}, { version: '1.0' })).ended).output).toEqual({ inline: 1 })
    expect(expectDone(await follow(runner, skillRun('same.name', {}, { version: '1.1' })).ended).output).toEqual({ inline: 3 })
    await runner.close()
  })
})

describe('watching', () => {
  it('puts an edit in place for new runs, and keeps the old one when the edit is broken', async () => {
    const name = await write('watched.skill.ts', skillText('watched.skill', '"first"'))
    const module = await loadSkill(name, folder)
    const runner = createThreadSkillRunner({ skills: [module], blobs: createMemoryBlobs() })
    const changes: string[] = []
    const broken: Fault[] = []
    runner.onCapabilitiesChanged(() => changes.push('changed'))
    const unwatch = watchSkill(module, folder, {
      onReloaded: (next: SkillModule) => runner.replaceModule(next),
      onBroken: (_origin, why) => broken.push(why),
    })
    const answer = async () => expectDone(await follow(runner, skillRun('watched.skill', {})).ended).output
    expect(await answer()).toEqual({ inline: 'first' })

    await writeFile(join(folder, name), skillText('watched.skill', '"second"'))
    await until(() => changes.length === 1)
    expect(await answer()).toEqual({ inline: 'second' })

    await writeFile(join(folder, name), 'export default {')
    await until(() => broken.length > 0)
    expect(broken[0]?.code).toBe('bad-request')
    expect(await answer()).toEqual({ inline: 'second' })

    unwatch()
    await runner.close()
  })

  it('lets what runs finish in the old version', async () => {
    const name = await write('slow.skill.ts', skillText('slow.skill', 'new Promise((resolve) => setTimeout(() => resolve("old"), 300))').replace('run: () =>', 'run: (_input, context) => context.progress(0.5) ??'))
    const runner = createThreadSkillRunner({ skills: [await loadSkill(name, folder)], blobs: createMemoryBlobs() })
    const { promise: started, resolve } = Promise.withResolvers<undefined>()
    const old = follow(runner, skillRun('slow.skill', {}), (event) => {
      if (event.type === 'pulse' && event.fraction === 0.5) resolve(undefined)
    })
    await started
    await writeFile(join(folder, name), skillText('slow.skill', '"new"'))
    runner.replaceModule(await loadSkill(name, folder))
    expect(expectDone(await old.ended).output).toEqual({ inline: 'old' })
    expect(expectDone(await follow(runner, skillRun('slow.skill', {})).ended).output).toEqual({ inline: 'new' })
    await runner.close()
  })
})

describe('inline skills', () => {
  it('run on the loop, and go to a thread when they are slow', async () => {
    const facts: string[] = []
    const name = await write('inline.skill.ts', skillText('inline.skill', '{ const until = performance.now() + 3; while (performance.now() < until); return isMainThread }', 'inline: true,').replace('import', 'import { isMainThread } from "node:worker_threads"\nimport'))
    const runner = createThreadSkillRunner({ skills: [await loadSkill(name, folder)], blobs: createMemoryBlobs(), telemetry: { record: (fact) => facts.push(fact.name) } })
    const onLoop: unknown[] = []
    await until(async () => {
      const { output } = expectDone(await follow(runner, skillRun('inline.skill', {})).ended)
      onLoop.push('inline' in output ? output.inline : undefined)
      return facts.includes('skill.not-inline')
    })
    // Until the module is imported, the threads serve.
    expect(onLoop.filter((value) => value === true)).toHaveLength(3)
    expect(expectDone(await follow(runner, skillRun('inline.skill', {})).ended).output).toEqual({ inline: false })
    expect(facts.filter((fact) => fact === 'skill.not-inline')).toHaveLength(1)
    await runner.close()
  })
})

describe('a scaffolded skill', () => {
  it('runs alone as it is', async () => {
    const { path, tryIt } = await scaffoldSkill('text.shout', join(folder, 'new'))
    expect(tryIt).toContain(path)
    expect(await readFile(path, 'utf8')).toContain("capability: 'text.shout'")
    const progress: unknown[] = []
    const outcome = await runSkillAlone({ skill: path, from: folder, input: { text: 'geese' }, onProgress: (fraction) => progress.push(fraction) })
    expect(outcome).toMatchObject({ state: 'done', step: 'run', output: { text: 'GEESE', characters: 5 } })
    expect(progress).toContain(0.5)
    expect(await runSkillAlone({ skill: path, from: folder, input: { text: 5 } })).toMatchObject({ state: 'failed', fault: { code: 'bad-input' } })
  })

  it('does not overwrite, and needs a good name', async () => {
    await scaffoldSkill('text.twice', folder)
    await expect(scaffoldSkill('text.twice', folder)).rejects.toThrow('exists')
    await expect(scaffoldSkill('Not A Name', folder)).rejects.toThrow('not a capability name')
  })
})
