import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roman } from './roman.js'

test('writes numbers', () => assert.deepEqual([4, 9, 1994, 2026].map(roman), ['IV', 'IX', 'MCMXCIV', 'MMXXVI']))
test('refuses what has no numeral', () => assert.throws(() => roman(0), RangeError))
