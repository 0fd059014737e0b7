import { expect, it } from 'vitest'
import { checkCitations, uncitedMark } from '../../../../node/skills/docs-answer/check-citations.ts'

it('numbers citations anew in the order in which they are met', () => {
  expect(checkCitations('Geese fly [7]. They rest [2][7].', 9)).toEqual({ text: 'Geese fly [1]. They rest [2][1].', cited: [7, 2], removed: 0, uncited: 0 })
})

it('understands the ways in which models cite', () => {
  expect(checkCitations('One two three [1, 3]. Four five six [2-4]. Seven eight nine【4】. Ten eleven twelve [Passage 5]. A b c [1](x.md).', 5).cited).toEqual([1, 3, 2, 4, 5])
  expect(checkCitations('Geese fly south. [1] They rest there. [2]', 2).text).toBe('Geese fly south [1]. They rest there [2].')
})

it('removes and counts citations of nothing', () => {
  expect(checkCitations('Geese fly south [0]. They rest there [3][1].', 2)).toEqual({ text: `Geese fly south. ${uncitedMark} They rest there [1].`, cited: [1], removed: 2, uncited: 1 })
  expect(checkCitations('Much is said here [1-9999].', 3)).toMatchObject({ cited: [1, 2, 3] })
})

it('marks sentences without a citation, but not what needs none', () => {
  const text = '## Geese in autumn\n\nThere are two reasons:\n\n- It gets cold [1].\n- The grass is gone by then.\n\nYes. It is so [2].'
  expect(checkCitations(text, 2)).toMatchObject({ uncited: 1, text: text.replace('by then.', `by then. ${uncitedMark}`) })
  expect(checkCitations('Nothing is said of that here.', 2, false)).toMatchObject({ uncited: 0, text: 'Nothing is said of that here.' })
})

it('leaves code alone', () => {
  expect(checkCitations('Use `list[9]` for that [1].\n\n```\nx = a[7]\n```', 1)).toEqual({ text: 'Use `list[9]` for that [1].\n\n```\nx = a[7]\n```', cited: [1], removed: 0, uncited: 0 })
})
