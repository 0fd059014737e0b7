import { expect, test } from 'vitest'
import builtIn from '../../../node/skills/built-in.ts'
import { builtInDescriptions } from '../../../node/skills/built-in-descriptions.ts'
import { describeSkill } from '../../../node/skills/module-contents.ts'

test('the built-in skills are described as they are, in their order', () => {
  expect(builtInDescriptions()).toEqual(builtIn.map(describeSkill))
  expect(builtInDescriptions().length).toBeGreaterThan(0)
})
