import { ESLint } from 'eslint'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { emptyTree } from './planted-tree.ts'
import type { PlantedTree } from './planted-tree.ts'

const pure = ['protocols', 'actors', 'sim'] as const

/** What is planted in each of the pure rooms, and the rule that must see it. */
const inPureRooms: Readonly<Record<string, string>> = {
  'export const at = Date.now()\n': 'no-restricted-properties',
  'export const at = performance.now()\n': 'no-restricted-globals',
  'export const chance = Math.random()\n': 'no-restricted-properties',
  'export const timer = setTimeout(() => {}, 1)\n': 'no-restricted-globals',
  'export const timer = setInterval(() => {}, 1)\n': 'no-restricted-globals',
  'export const timer = globalThis.setTimeout(() => {}, 1)\n': 'no-restricted-properties',
  'export const at = new Date()\n': 'no-restricted-syntax',
  "import { readFileSync } from 'node:fs'\nexport const read = readFileSync\n": 'no-restricted-imports',
  'export const id = crypto.randomUUID()\n': 'no-restricted-globals',
  "console.log('hello')\n": 'no-console',
}

const anywhere: Readonly<Record<string, string>> = {
  'export const loose = (value: any): unknown => value\n': '@typescript-eslint/no-explicit-any',
  'const later = async (): Promise<void> => {}\nlater()\nexport {}\n': '@typescript-eslint/no-floating-promises',
  '// @ts-ignore\nexport const hidden = 1\n': '@typescript-eslint/ban-ts-comment',
  [`${'export {}\n'.repeat(401)}`]: 'max-lines',
}

interface Case {
  readonly file: string
  readonly source: string
  readonly rule: string
}

const casesIn = (room: string, sources: Readonly<Record<string, string>>): Case[] =>
  Object.entries(sources).map(([source, rule], index) => ({ file: `${room}/${rule.replace('@typescript-eslint/', '')}-${index}.ts`, source, rule }))

const cases: readonly Case[] = [
  ...pure.flatMap((room) => casesIn(room, inPureRooms)),
  ...casesIn('node', anywhere),
  { file: 'protocols/awaiting.ts', source: 'export const later = async (): Promise<number> => 1\n', rule: 'no-restricted-syntax' },
]

const clean: Readonly<Record<string, string>> = {
  'protocols/clean.ts': 'export const shown = (atMs: number): string => new Date(atMs).toISOString()\n',
  'node/clean.ts': "import { hrtime } from 'node:process'\nexport const now = (): number => Date.now() + performance.now() + Math.random() + Number(hrtime.bigint())\n",
}

describe('the linter', () => {
  let tree: PlantedTree
  let reported: Map<string, readonly (string | null)[]>

  beforeAll(async () => {
    tree = emptyTree()
    tree.plant(clean)
    tree.plant(Object.fromEntries(cases.map(({ file, source }) => [file, source])))
    const eslint = new ESLint({
      cwd: tree.root,
      overrideConfigFile: join(import.meta.dirname, '../../eslint.config.js'),
      overrideConfig: { languageOptions: { parserOptions: { tsconfigRootDir: tree.root } } },
    })
    const results = await eslint.lintFiles(['.'])
    reported = new Map(results.map((result) => [result.filePath, result.messages.map((message) => message.ruleId ?? message.message)]))
  })
  afterAll(() => {
    tree.remove()
  })

  test.each(cases)('$rule is reported in $file', ({ file, rule }) => {
    expect(reported.get(join(tree.root, file))).toContain(rule)
  })

  test.each(Object.keys(clean))('%s is left in peace', (file) => {
    expect(reported.get(join(tree.root, file))).toEqual([])
  })
})
