import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { loadSkill } from '../../../node/skills/loader.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { createThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { skillRunnerContract } from '../../contracts/skill-runner.ts'

skillRunnerContract('thread adapter', async () => {
  const blobs = createMemoryBlobs()
  const folder = fileURLToPath(new URL('./fixtures', import.meta.url))
  const runner = createThreadSkillRunner({ skills: [await loadSkill('./contract.skill.ts', folder)], blobs, pulseMs: 20 })
  return { runner, blobs, close: () => runner.close() }
})

it('says at once that more is loaded than one node can offer: the others would not believe its advert', async () => {
  const module = await loadSkill('./contract.skill.ts', fileURLToPath(new URL('./fixtures', import.meta.url)))
  const [skill] = module.skills
  if (skill === undefined) throw new Error('the fixture holds no skill')
  const many = (count: number) => ({ ...module, skills: Array.from({ length: count }, (_, at) => ({ ...skill, capability: `many.c${at}` as typeof skill.capability })) })
  const runnerOf = (count: number) => createThreadSkillRunner({ skills: [many(count)], blobs: createMemoryBlobs() })
  const runner = runnerOf(limits.advertCapabilitiesMax)
  expect(runner.capabilities()).toHaveLength(limits.advertCapabilitiesMax)
  await runner.close()
  expect(() => runnerOf(limits.advertCapabilitiesMax + 1)).toThrow(expect.objectContaining({ fault: expect.objectContaining({ code: 'bad-request', detail: expect.stringContaining('one node offers 1000 at most') as string, next: expect.stringContaining('several nodes') as string }) as unknown }))
})
