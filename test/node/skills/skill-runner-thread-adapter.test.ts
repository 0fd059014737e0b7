import { fileURLToPath } from 'node:url'
import { loadSkill } from '../../../node/skills/loader.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { createThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import { skillRunnerContract } from '../../contracts/skill-runner.ts'

skillRunnerContract('thread adapter', async () => {
  const blobs = createMemoryBlobs()
  const folder = fileURLToPath(new URL('./fixtures', import.meta.url))
  const runner = createThreadSkillRunner({ skills: [await loadSkill('./contract.skill.ts', folder)], blobs, pulseMs: 20 })
  return { runner, blobs, close: () => runner.close() }
})
