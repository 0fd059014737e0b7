/** A small house with stub packages in a temporary folder, to plant violations in. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface PlantedTree {
  readonly root: string
  /** Writes files, by path inside the tree. */
  plant(files: Readonly<Record<string, string>>): void
  remove(): void
}

const packageStub = (name: string): Record<string, string> => ({
  [`node_modules/${name}/package.json`]: JSON.stringify({ name, version: '1.0.0', type: 'module', exports: './index.js' }),
  [`node_modules/${name}/index.js`]: 'export const stub = 1\n',
})

/** Every kind of import that the rules allow, once. */
const cleanHouse: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify({
    name: 'house',
    type: 'module',
    dependencies: { zod: '1', msgpackr: '1', '@noble/hashes': '1', libp2p: '1' },
    devDependencies: { vitest: '1' },
  }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: { target: 'ES2024', module: 'NodeNext', strict: true, allowImportingTsExtensions: true, noEmit: true, verbatimModuleSyntax: true, types: [] },
    include: ['protocols', 'actors', 'node', 'sim', 'scripts', 'test', 'web'],
  }),
  ...packageStub('zod'),
  ...packageStub('msgpackr'),
  ...packageStub('@noble/hashes'),
  ...packageStub('libp2p'),
  ...packageStub('vitest'),
  'protocols/kernel/ids.ts': "import { stub } from 'zod'\nexport const id = stub\nexport type Id = number\n",
  'protocols/kernel/hashing.ts': "import { stub } from '@noble/hashes'\nimport { id } from './ids.ts'\nexport const digest = stub + id\n",
  'protocols/bidding/schema.ts': "import { id } from '../kernel/ids.ts'\nexport const bid = id\n",
  'protocols/bidding/score.ts': "import { bid } from './schema.ts'\nexport const score = bid\n",
  'protocols/tasking/schema.ts': "import { bid } from '../bidding/schema.ts'\nexport const task = bid\n",
  'protocols/tasking/views.ts': "import { task } from './schema.ts'\nexport const view = task\n",
  'protocols/tasking/plan.ts': "import { view } from './views.ts'\nexport const plan = view\n",
  'protocols/wire.ts': "import { stub } from 'msgpackr'\nimport { task } from './tasking/schema.ts'\nexport const wire = stub + task\n",
  'actors/ports/clock.ts': "import type { Id } from '../../protocols/kernel/ids.ts'\nexport interface Clock { now(): Id }\n",
  'actors/mesh-api.ts': "import type { Id } from '../protocols/kernel/ids.ts'\nexport interface MeshApi { readonly self: Id }\n",
  'actors/runtime/system.ts': "import type { Clock } from '../ports/clock.ts'\nexport const system = (clock: Clock): number => clock.now()\n",
  'actors/behaviours/worker.ts': "import { score } from '../../protocols/bidding/score.ts'\nimport type { Clock } from '../ports/clock.ts'\nimport { system } from '../runtime/system.ts'\nexport const worker = (clock: Clock): number => system(clock) + score\n",
  'actors/mesh-node.ts': "import { worker } from './behaviours/worker.ts'\nexport const meshNode = worker\n",
  'node/clock/clock-system-adapter.ts': "import type { Clock } from '../../actors/ports/clock.ts'\nimport { tick } from './tick.ts'\nexport const clock: Clock = { now: () => tick }\n",
  'node/clock/tick.ts': 'export const tick = 1\n',
  'node/clock/both.ts': "import { clock } from './clock-system-adapter.ts'\nexport const both = clock\n",
  'node/models/start-models.ts': 'export const models = 1\nexport type Models = typeof models\n',
  'node/main.ts': "import { stub } from 'libp2p'\nimport { meshNode } from '../actors/mesh-node.ts'\nimport { clock } from './clock/clock-system-adapter.ts'\nimport type { Models } from './models/start-models.ts'\nexport const main = meshNode(clock) + stub\nexport const late = async (): Promise<Models> => (await import('./models/start-models.ts')).models\n",
  'node/cli/main.ts': "import { argv } from 'node:process'\nimport { main } from '../main.ts'\nexport const cli = [main, argv]\n",
  'sim/clock-virtual-adapter.ts': "import type { Clock } from '../actors/ports/clock.ts'\nexport const virtual: Clock = { now: () => 1 }\n",
  'scripts/sim.ts': "import { virtual } from '../sim/clock-virtual-adapter.ts'\nexport const simulate = virtual\n",
  'test/sim/clock.test.ts': "import { simulate } from '../../scripts/sim.ts'\nimport { stub } from 'vitest'\nimport { tick } from '../../node/clock/tick.ts'\nexport const tested = [simulate, tick, stub]\n",
  'web/view.ts': "import type { MeshApi } from '../actors/mesh-api.ts'\nexport const title = (api: MeshApi): number => api.self\n",
}

/** @returns an empty tree: only the settings, no module. */
export function emptyTree(): PlantedTree {
  const root = mkdtempSync(join(tmpdir(), 'skein-rules-'))
  const plant = (files: Readonly<Record<string, string>>): void => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
    }
  }
  plant({ 'tsconfig.json': cleanHouse['tsconfig.json'] ?? '{}', 'package.json': cleanHouse['package.json'] ?? '{}' })
  return {
    root,
    plant,
    remove: () => {
      rmSync(root, { recursive: true, force: true })
    },
  }
}

/** @returns a tree that keeps every import rule. */
export function cleanTree(): PlantedTree {
  const tree = emptyTree()
  tree.plant(cleanHouse)
  return tree
}
