import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseTrace } from '../../../sim/workload/trace-format.ts'

const header = 'TIMESTAMP,ContextTokens,GeneratedTokens'

describe('trace format', () => {
  test('CRLF, no last newline, any number of digits, a byte order mark, offsets', () => {
    const text = `\uFEFF${header}\r\n2023-12-31 23:59:59.5,1,2\r\n2024-01-01 00:00:00,3,4\r\n2024-01-01 01:00:00.1234567+01:00,5,6`
    const requests = parseTrace(text, 't.csv')
    expect(requests.map(({ promptTokens, outputTokens }) => [promptTokens, outputTokens])).toEqual([[1, 2], [3, 4], [5, 6]])
    expect(requests.map((request) => request.afterMs)).toEqual([0, 500, expect.closeTo(623.4567, 9) as number])
  })

  test('requests out of order are put in order', () => {
    expect(parseTrace(`${header}\n2024-01-01 00:00:02,2,2\n2024-01-01 00:00:01,1,1\n`, 't.csv')).toEqual([
      { afterMs: 0, promptTokens: 1, outputTokens: 1 }, { afterMs: 1_000, promptTokens: 2, outputTokens: 2 },
    ])
  })

  test.each([
    ['', "t.csv, line 1: '' is not the header"],
    ['a,b,c\n', "t.csv, line 1: 'a,b,c' is not the header"],
    [`${header}\n`, 't.csv has no requests, only a header'],
    [`${header}\n2024-01-01 00:00:00,1,2\n2024-01-01 00:00:00,1\n`, 't.csv, line 3: 2 columns instead of 3'],
    [`${header}\nyesterday,1,2\n`, "t.csv, line 2: 'yesterday' is not a time like"],
    [`${header}\n2024-13-01 00:00:00,1,2\n`, "t.csv, line 2: there is no such time as '2024-13-01 00:00:00'"],
    [`${header}\n2024-02-29 00:00:00,1,2\n2023-02-29 00:00:00,1,2\n`, "t.csv, line 3: there is no such time as '2023-02-29 00:00:00'"],
    [`${header}\n2024-01-01 00:00:00,many,2\n`, "t.csv, line 2: 'many' is not a number of tokens"],
    [`${header}\n2024-01-01 00:00:00,1,-2\n`, "t.csv, line 2: '-2' is not a number of tokens"],
  ])('%j is refused', (text, message) => {
    expect(() => parseTrace(text, 't.csv')).toThrow(message)
  })

  test('the shipped trace of Azure', () => {
    const requests = parseTrace(readFileSync('sim/scenarios/traces/azure-llm-inference-2023-code.csv', 'utf8'), 'azure')
    expect(requests).toHaveLength(8_819)
    expect(requests[1]?.afterMs).toBeCloseTo(52, 6)
    expect(requests.at(-1)?.afterMs).toBeGreaterThan(50 * 60_000)
    expect(requests.every((request) => request.promptTokens > 0)).toBe(true)
  })
})
