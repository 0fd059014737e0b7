import assert from 'node:assert/strict'
import { test } from 'node:test'
import { slug } from './slug.js'

test('joins words', () => assert.equal(slug('Grey Geese, flying!'), 'grey-geese-flying'))
test('takes accents away', () => assert.equal(slug('Ganso às três', { separator: '_' }), 'ganso_as_tres'))
test('keeps to its length', () => assert.equal(slug('x'.repeat(200)).length, 80))
