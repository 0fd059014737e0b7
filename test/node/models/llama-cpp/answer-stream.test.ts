import { describe, expect, it } from 'vitest'
import { AnswerStream } from '../../../../node/models/llama-cpp/answer-stream.ts'

describe('an answer that is read while it is written', () => {
  const text = 'He said "no"\n\\ é 😀 \u{1F600} end'

  it.each([1, 2, 3, 7, 1_000])('gives out every character once, in pieces of %i', (size) => {
    const json = JSON.stringify({ answer: text })
    const stream = new AnswerStream()
    const given: string[] = []
    for (let start = 0; start < json.length; start += size) given.push(stream.add(json.slice(start, start + size)))
    expect(given.join('')).toBe(text)
    expect(stream.text).toBe(text)
    for (const piece of given) expect(piece.isWellFormed()).toBe(true)
  })

  it('reads escapes that come in pieces, a pair of surrogates among them', () => {
    const stream = new AnswerStream()
    const pieces = [...String.raw`{ "answer" : "a\ud83d\ude00\u00e9\tz" }`].map((character) => stream.add(character))
    expect(pieces.join('')).toBe('a😀é\tz')
    for (const piece of pieces) expect(piece.isWellFormed()).toBe(true)
  })

  it('has what came before the text was cut off', () => {
    const stream = new AnswerStream()
    stream.add(String.raw`{"answer":"half a sent\u00`)
    expect(stream.text).toBe('half a sent')
  })

  it('says nothing of a call', () => {
    const stream = new AnswerStream()
    expect(stream.add('{"tool":"read","arguments":{"answer":"no"}}')).toBe('')
  })

  it('says nothing of what comes after the text', () => {
    const stream = new AnswerStream()
    expect(stream.add('{"answer":"yes"}\n\n"more"')).toBe('yes')
    expect(stream.add('{"answer":"again"}')).toBe('')
  })
})
