import { describe, expect, it } from 'vitest'
import { jsonJudge } from '../../../node/models/json-answer.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'

const judge = jsonJudge({ type: 'object', properties: { name: { type: 'string' }, tags: { type: 'array', items: { type: 'string' } } }, required: ['name'], additionalProperties: false })
const goose = { name: 'goose', tags: ['wild', 'a "quoted" {tag}', '\\'] }
const text = JSON.stringify(goose)

describe('JSON in an answer', () => {
  it.each([
    ['alone', text],
    ['with space around it', `\n\n  ${text}\n`],
    ['fenced', '```json\n' + text + '\n```'],
    ['fenced without a language', '```\n' + text + '\n```'],
    ['after prose', `Here it is: ${text}`],
    ['between prose', `Sure {of course}! [1]\n${text}\nAnything else? {no}`],
    ['after thoughts that hold another', `<think>\n{"name": "duck"}?\n</think>\n${text}`],
    ['after a bracket that is never closed', `{ hm, I mean ${text}`],
    ['after another one that does not fit', `{"name": 7} — no: ${text}`],
    ['in a fence after another one', '```json\n{"nom": 1}\n```\nor better\n```json\n' + text + '\n```'],
  ])('is found %s', (_how, answer) => {
    const found = judge(answer)
    expect(found).toMatchObject({ ok: true, value: goose })
    expect(found.ok && JSON.parse(found.text)).toEqual(goose)
  })

  it('is given back as it was written', () => {
    const written = '{ "name" : "goose" }'
    expect(judge(`It is ${written}.`)).toMatchObject({ ok: true, text: written })
  })

  it('that does not fit is refused with where and why', () => {
    const found = judge('{"name": 7, "wings": 2}')
    expect(found.ok).toBe(false)
    expect(!found.ok && found.why).toMatch(/name: .*string/)
    expect(!found.ok && found.why).toContain('wings')
  })

  it('that is none is refused', () => {
    for (const none of ['', '   ', 'no JSON here', '{"name": "goo', '```json\n```', '<think>{"name":"goose"}</think>']) {
      const found = judge(none)
      expect(found.ok, none).toBe(false)
      expect(!found.ok && found.why.length).toBeGreaterThan(0)
    }
  })

  it('may be no object at all, if the schema says so', () => {
    expect(jsonJudge({ type: 'array', items: { type: 'integer' } })('The numbers are [1, 2, 3].')).toMatchObject({ ok: true, value: [1, 2, 3] })
    expect(jsonJudge({ enum: ['yes', 'no'] })('"yes"')).toMatchObject({ ok: true, value: 'yes' })
  })

  it('defaults of the schema are not put into the answer', () => {
    expect(jsonJudge({ type: 'object', properties: { size: { type: 'integer', default: 3 } } })('{}')).toMatchObject({ ok: true, text: '{}', value: {} })
  })

  it('nested without end, or with brackets without end, does no harm', () => {
    expect(jsonJudge({})(`${'['.repeat(5_000)}${']'.repeat(5_000)}`).ok).toBe(false)
    expect(judge('['.repeat(200_000)).ok).toBe(false)
    expect(judge('{['.repeat(50_000) + text).ok).toBe(false)
  })

  it('a schema that cannot be checked is bad input', () => {
    const refused = (): unknown => jsonJudge({ type: 'object', not: { required: ['x'] } })
    expect(refused).toThrow(MeshError)
    expect(refused).toThrow(/cannot be checked/)
  })
})
