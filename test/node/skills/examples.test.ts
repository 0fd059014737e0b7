/** The plans in examples/ carried out task by task with the real skills, without a mesh; test/mesh runs them across nodes. */
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { dependenciesOf, planFault, resolveReferences } from '../../../protocols/tasking/plan.ts'
import { Plan } from '../../../protocols/tasking/schema.ts'
import { loadSkills } from '../../../node/skills/loader.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { createThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import type { ThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import { follow, skillRun } from '../../contracts/skill-runner.ts'

const examples = resolve(import.meta.dirname, '../../../examples')
const blobs = createMemoryBlobs()
let runner: ThreadSkillRunner

beforeAll(async () => {
  const skills = await loadSkills({ skills: ['text', 'flaky', 'matrix'].map((name) => `./skills/${name}.skill.ts`), from: examples, builtIn: false })
  runner = createThreadSkillRunner({ skills, blobs })
})
afterAll(() => runner.close())

async function upload(value: unknown, folder: string): Promise<unknown> {
  if (typeof value !== 'object' || value === null) return value
  if ('$upload' in value) {
    const path = join(folder, String(value.$upload))
    return blobs.put(await readFile(path), { name: basename(path) })
  }
  if (Array.isArray(value)) return Promise.all(value.map((inner) => upload(inner, folder)))
  return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([key, inner]) => [key, await upload(inner, folder)] as const)))
}

async function readPlan(name: string): Promise<Plan> {
  const path = join(examples, name)
  const plan = Plan.parse(await upload(parse(await readFile(path, 'utf8')), dirname(path)))
  expect(planFault(plan)).toBeUndefined()
  return plan
}

/** Runs every task once its dependencies have ended, as often as its retry policy allows. */
async function carryOut(plan: Plan): Promise<{ result: Json; attempts: Record<string, number> }> {
  const outputs = new Map<string, Json>()
  const attempts: Record<string, number> = {}
  const ended = new Map<string, Promise<void>>()
  const end = (name: string): Promise<void> => {
    const task = plan.tasks[name]
    if (task === undefined) throw new Error(`no task ${name}`)
    const work = async (): Promise<void> => {
      await Promise.all(dependenciesOf(task).map(end))
      const input = resolveReferences(task.input, outputs)
      for (let attempt = 1; attempt <= (task.retry?.attemptsMax ?? 4); attempt++) {
        attempts[name] = attempt
        const event = await follow(runner, skillRun(task.capability, input, { attempt })).ended
        if (event.type === 'failed') continue
        const text = 'inline' in event.output ? undefined : new TextDecoder().decode(await blobs.get(event.output.blob.$blob))
        outputs.set(name, 'inline' in event.output ? event.output.inline : (JSON.parse(text ?? '') as Json))
        return
      }
      if (!task.optional) throw new Error(`${name} failed for good`)
    }
    const known = ended.get(name) ?? work()
    ended.set(name, known)
    return known
  }
  await Promise.all(Object.keys(plan.tasks).map(end))
  return { result: resolveReferences(plan.result, outputs), attempts }
}

describe('examples', () => {
  it('map-reduce counts the words of three files', async () => {
    const { result } = await carryOut(await readPlan('map-reduce.yaml'))
    const texts = await Promise.all(['geese', 'nodes', 'bids'].map((name) => readFile(join(examples, 'texts', `${name}.txt`), 'utf8')))
    const words = texts.join(' ').split(/[\s.,:]+/).filter(Boolean)
    expect(result).toMatchObject({ words: words.length, top: [{ word: 'the', count: words.filter((word) => word.toLowerCase() === 'the').length }, {}, {}, {}, {}] })
  })

  it('diamond tries its failing branch again and does without its optional one', async () => {
    const { result, attempts } = await carryOut(await readPlan('diamond.yaml'))
    expect(result).toEqual({ trail: ['start', 'left', 'right', 'finish'], attemptsOfRight: 3 })
    expect(attempts).toEqual({ start: 1, left: 1, right: 3, extra: 2, finish: 1 })
  })

  it('build-matrix compiles and tests every configuration', async () => {
    const { result } = await carryOut(await readPlan('build-matrix.yaml'))
    const { ok, markdown } = result as { ok: boolean; markdown: string }
    expect(markdown).not.toContain('FAILED')
    expect(ok).toBe(true)
    expect(markdown.match(/^\| slug .* 3 of 3 /gm)).toHaveLength(4)
    expect(markdown.match(/^\| roman .* 2 of 2 /gm)).toHaveLength(4)
  })
})
