import { expect, it } from 'vitest'
import { stemsOf, termsOf } from '../../../../node/skills/docs-answer/words.ts'

it('finds the same word in its forms, cases and accents', () => {
  expect(stemsOf('Charging')).toEqual(stemsOf('charged'))
  expect(stemsOf("Zürich's CAFÉ")).toEqual(stemsOf('zurich cafe'))
  expect(stemsOf('Octo\u00adber')).toEqual(stemsOf('october'))
  expect(stemsOf('ﬁle')).toEqual(stemsOf('file'))
})

it('keeps numbers whole and takes names of code apart', () => {
  expect(stemsOf('costs 1,312.50 or 3.14.')).toEqual(['cost', '1,312.50', 'or', '3.14'])
  expect(stemsOf('fetchUrl lease_ms')).toEqual(['fetchurl', 'fetch', 'url', 'leas', 'ms'])
})

it('looks for pairs of characters where no spaces stand between words', () => {
  expect(stemsOf('东京都')).toEqual(['东京', '京都'])
  expect(stemsOf('京都')).toEqual(['京都'])
})

it('asks for what a question is about, once each, in the language it is asked in', () => {
  const words = (question: string): string[] => termsOf(question).map((term) => term.word)
  expect(words('How long is the warranty of the battery, and what is a warranty?')).toEqual(['long', 'warranty', 'battery'])
  expect(words('Who is the man that will die in the war?')).toEqual(['man', 'die', 'war'])
  expect(words('Wie lange hält die Batterie, und was kostet sie?')).toEqual(['lange', 'hält', 'Batterie', 'kostet'])
  expect(words('Where is the MIT licence?')).toEqual(['MIT', 'licence'])
})

it('asks for unspecific words where there are no others', () => {
  expect(termsOf('To be or not to be?').map((term) => term.stem)).toEqual(['to', 'be', 'or', 'not'])
  expect(termsOf('???')).toEqual([])
})
