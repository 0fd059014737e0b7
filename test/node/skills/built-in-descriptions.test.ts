import { expect, test } from 'vitest'
import builtIn, { families } from '../../../node/skills/built-in.ts'
import { builtInDescriptions } from '../../../node/skills/built-in-descriptions.ts'
import { describeSkill } from '../../../node/skills/module-contents.ts'

test('the built-in skills are declared as their code says that they are, in its order', async () => {
  const loaded = await Promise.all(families.map(({ load }) => load()))
  expect(builtInDescriptions()).toEqual(loaded.flatMap((module) => module.default.map(describeSkill)))
  expect(builtInDescriptions()).toHaveLength(builtIn.length)
  expect(builtIn.length).toBeGreaterThan(0)
})
