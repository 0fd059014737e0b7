import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { cleanTree, emptyTree } from './planted-tree.ts'
import type { PlantedTree } from './planted-tree.ts'

const script = join(import.meta.dirname, '../../scripts/rules.ts')

interface Outcome {
  readonly code: number
  readonly printed: string
}

/** Runs the checker as `npm run rules` does. */
function check(tree: PlantedTree, ...argv: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [script, '--root', tree.root, '--modules-min', '20', ...argv], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), printed: stdout + stderr })
    })
  })
}

/** The imports printed under each rule's name. */
function importsByRule(printed: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const paragraph of printed.split('\n\n')) {
    const [head = '', ...lines] = paragraph.split('\n')
    found.set(head.slice(0, head.indexOf(':')), lines.map((line) => line.trim()))
  }
  return found
}

interface Planted {
  readonly rule: string
  readonly file: string
  readonly imports: string
  readonly kind?: 'value' | 'type'
  /** How the import is printed, where it is not the file it names. */
  readonly printedAs?: string
}

const planted: readonly Planted[] = [
  { rule: 'protocols-know-nobody-above', file: 'protocols/bidding/up.ts', imports: '../../actors/mesh-api.ts', kind: 'type' },
  { rule: 'protocols-know-nobody-above', file: 'protocols/kernel/up.ts', imports: '../../node/clock/tick.ts' },
  { rule: 'kernel-knows-no-room', file: 'protocols/kernel/sideways.ts', imports: '../bidding/schema.ts' },
  { rule: 'rooms-meet-at-schema', file: 'protocols/tasking/machine.ts', imports: '../bidding/score.ts' },
  { rule: 'rooms-meet-at-schema', file: 'protocols/bidding/foreign-view.ts', imports: '../tasking/views.ts', kind: 'type' },
  { rule: 'rooms-meet-at-schema', file: 'protocols/bidding/wired.ts', imports: '../wire.ts' },
  { rule: 'wire-knows-schemas-only', file: 'protocols/second-wire.ts', imports: './bidding/score.ts' },
  { rule: 'actors-look-down-only', file: 'actors/behaviours/up.ts', imports: '../../node/clock/tick.ts' },
  { rule: 'actors-look-down-only', file: 'actors/runtime/up.ts', imports: '../../sim/clock-virtual-adapter.ts' },
  { rule: 'ports-are-signatures', file: 'actors/ports/busy.ts', imports: '../runtime/system.ts', kind: 'type' },
  { rule: 'ports-take-types-only', file: 'actors/ports/heavy.ts', imports: '../../protocols/kernel/ids.ts' },
  { rule: 'runtime-knows-no-behaviour', file: 'actors/runtime/curious.ts', imports: '../behaviours/worker.ts' },
  { rule: 'behaviours-touch-no-port', file: 'actors/behaviours/reaching.ts', imports: '../ports/clock.ts' },
  { rule: 'pure-no-node-builtins', file: 'protocols/bidding/disk.ts', imports: 'node:fs', printedAs: 'fs' },
  { rule: 'pure-no-node-builtins', file: 'actors/runtime/disk.ts', imports: 'fs', printedAs: 'fs' },
  { rule: 'pure-no-node-builtins', file: 'sim/disk.ts', imports: 'node:timers', printedAs: 'timers' },
  { rule: 'pure-few-packages', file: 'actors/runtime/networked.ts', imports: 'libp2p', printedAs: 'node_modules/libp2p/index.js' },
  { rule: 'msgpackr-in-wire-only', file: 'protocols/bidding/packed.ts', imports: 'msgpackr', printedAs: 'node_modules/msgpackr/index.js' },
  { rule: 'noble-in-kernel-only', file: 'sim/hashed.ts', imports: '@noble/hashes', printedAs: 'node_modules/@noble/hashes/index.js' },
  { rule: 'node-never-meets-sim', file: 'node/clock/dreaming.ts', imports: '../../sim/clock-virtual-adapter.ts' },
  { rule: 'sim-never-meets-node', file: 'sim/waking.ts', imports: '../node/clock/tick.ts' },
  { rule: 'only-main-builds-adapters', file: 'node/cli/building.ts', imports: '../clock/clock-system-adapter.ts' },
  { rule: 'only-main-builds-adapters-top', file: 'node/building.ts', imports: './clock/clock-system-adapter.ts' },
  { rule: 'models-when-needed', file: 'node/cli/eager.ts', imports: '../models/start-models.ts' },
  { rule: 'adapters-meet-ports-only', file: 'node/clock/clock-odd-adapter.ts', imports: '../../actors/runtime/system.ts', kind: 'type' },
  { rule: 'adapters-take-types-only', file: 'sim/clock-odd-adapter.ts', imports: '../actors/ports/clock.ts' },
  { rule: 'nobody-imports-scripts', file: 'node/clock/scripted.ts', imports: '../../scripts/sim.ts' },
  { rule: 'nobody-imports-test', file: 'scripts/tested.ts', imports: '../test/sim/clock.test.ts' },
  { rule: 'web-takes-types-only', file: 'web/heavy.ts', imports: '../protocols/tasking/views.ts' },
  { rule: 'everything-resolves', file: 'node/clock/lost.ts', imports: './nowhere.ts', printedAs: './nowhere.ts' },
  { rule: 'declared-packages-only', file: 'node/clock/undeclared.ts', imports: 'vitest', printedAs: 'node_modules/vitest/index.js' },
]

const cycle = {
  'node/clock/hen.ts': "import { egg } from './egg.ts'\nexport const hen = (): unknown => egg\n",
  'node/clock/egg.ts': "import { hen } from './hen.ts'\nexport const egg = (): unknown => hen\n",
}
const typeCycle = {
  'protocols/bidding/left.ts': "import type { Right } from './right.ts'\nexport interface Left { readonly right?: Right }\n",
  'protocols/bidding/right.ts': "import type { Left } from './left.ts'\nexport interface Right { readonly left?: Left }\n",
}

let tree: PlantedTree | undefined
afterEach(() => {
  tree?.remove()
  tree = undefined
})

describe('the import rules', () => {
  test('a clean house passes', async () => {
    tree = cleanTree()
    const { code, printed } = await check(tree)
    expect(printed.trim()).toMatch(/^import rules: \d+ modules read, 0 violations$/)
    expect(code).toBe(0)
  })

  test('each planted violation is caught, under its own rule', async () => {
    tree = cleanTree()
    for (const { file, imports, kind } of planted) {
      tree.plant({ [file]: kind === 'type' ? `import type * as stolen from '${imports}'\nexport type Stolen = typeof stolen\n` : `import * as stolen from '${imports}'\nexport const used = stolen\n` })
    }
    tree.plant({ ...cycle, ...typeCycle })
    const { code, printed } = await check(tree)
    const found = importsByRule(printed)
    const missed = planted.filter(({ rule, file, imports, printedAs }) => {
      const target = printedAs ?? join(file, '..', imports)
      return found.get(rule)?.includes(`${file} → ${target}`) !== true
    })
    expect(missed).toEqual([])
    expect(found.get('no-cycles')?.some((line) => line.includes('hen.ts') && line.includes('egg.ts'))).toBe(true)
    expect(found.get('no-cycles')?.some((line) => line.includes('left.ts') && line.includes('right.ts'))).toBe(true)
    expect(code).toBe(1)
  })

  test('a value import is caught beside a type import of the same file', async () => {
    tree = cleanTree()
    tree.plant({
      'actors/behaviours/both-ways.ts': "import type { Clock } from '../ports/clock.ts'\nimport * as ports from '../ports/clock.ts'\nexport const used = (clock: Clock): unknown => [clock, ports]\n",
      'actors/behaviours/mixed.ts': "import { type Clock, ticks } from '../ports/clock.ts'\nexport const used = (clock: Clock): unknown => [clock, ticks]\n",
      'actors/behaviours/only-a-type.ts': "import { type Clock } from '../ports/clock.ts'\nexport type Mine = Clock\n",
      'actors/behaviours/re-export.ts': "export * from '../ports/clock.ts'\n",
      'actors/behaviours/lazily.ts': "export const load = (): Promise<unknown> => import('../ports/clock.ts')\n",
    })
    const { printed } = await check(tree)
    const caught = importsByRule(printed).get('behaviours-touch-no-port') ?? []
    expect(caught.map((line) => line.split(' ')[0]).sort()).toEqual(['both-ways', 'lazily', 'mixed', 're-export'].map((name) => `actors/behaviours/${name}.ts`))
  })

  test('every rule has a planted violation', () => {
    const config = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as { readonly forbidden: readonly { readonly name: string; readonly comment: string }[] }
    const tried = new Set([...planted.map(({ rule }) => rule), 'no-cycles'])
    expect(config.forbidden.map((rule) => rule.name).filter((name) => !tried.has(name))).toEqual([])
    for (const rule of config.forbidden) expect(rule.comment.length, rule.name).toBeGreaterThan(20)
  })

  test('an empty cruise fails', async () => {
    tree = emptyTree()
    const { code, printed } = await check(tree)
    expect(printed).toContain('enough-modules: only 0 modules were read, at least 20 were expected')
    expect(code).toBe(1)
  })

  test('a house with fewer modules than expected fails', async () => {
    tree = cleanTree()
    const { code, printed } = await check(tree, '--modules-min', '1000')
    expect(printed).toContain('enough-modules')
    expect(code).toBe(1)
  })
})
