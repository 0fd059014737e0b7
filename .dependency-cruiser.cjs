/**
 * Who may import whom. Each rule's comment says what to do about a violation; `npm run rules` checks them,
 * and test/rules/ plants one violation of each.
 *
 * @type {import('dependency-cruiser').IConfiguration}
 */

/** A dependency that is more than a type; `import type` has no weight at run time. */
const value = { dependencyTypesNot: ['type-only'] }
const pure = '^(protocols|actors|sim)/'
const npm = '(^|/)node_modules/'
const zod = `${npm}zod/`
const msgpackr = `${npm}msgpackr/`
const noble = `${npm}@noble/`

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from: typeof from === 'string' ? { path: from } : from, to: typeof to === 'string' ? { path: to } : to })

const forbidden = [
  forbid('protocols-know-nobody-above', 'protocols/ is the ground floor: move what both need into protocols/, or let the upper room pass it in.',
    '^protocols/', '^(actors|node|sim|scripts|test|web|bin|examples)/'),
  forbid('kernel-knows-no-room', 'protocols/kernel/ serves every room and knows none: move the shared part into the kernel, or the user of it out of the kernel.',
    '^protocols/kernel/', '^protocols/(?!kernel/)'),
  forbid('rooms-meet-at-schema', "A room of protocols/ may import the kernel, its own files and other rooms' schema.ts; let a behaviour compose two machines.",
    { path: '^protocols/([^/]+)/', pathNot: '^protocols/kernel/' },
    { path: '^protocols/', pathNot: ['^protocols/$1/', '^protocols/kernel/', '^protocols/[^/]+/schema\\.ts$'] }),
  forbid('wire-knows-schemas-only', 'protocols/wire.ts unites the schemas: it may import the kernel and any schema.ts, no machine.',
    '^protocols/[^/]+\\.ts$', { path: '^protocols/', pathNot: ['^protocols/kernel/', '^protocols/[^/]+/schema\\.ts$'] }),

  forbid('actors-look-down-only', 'actors/ meet the world through actors/ports/: add to a port and let an adapter in node/ or sim/ do it.',
    '^actors/', '^(node|sim|scripts|test|web|bin|examples)/'),
  forbid('ports-are-signatures', 'A port is an interface: it knows no runtime, no behaviour and no planner.',
    '^actors/(ports/|mesh-api\\.ts$)', '^actors/(?!ports/)'),
  forbid('ports-take-types-only', 'A port only names shapes: write `import type`.',
    '^actors/(ports/|mesh-api\\.ts$)', { path: '.', ...value }),
  forbid('runtime-knows-no-behaviour', 'actors/runtime/ runs any behaviour: hand the behaviour in when an actor is spawned.',
    '^actors/runtime/', '^actors/(behaviours|planners)/|^actors/mesh-node\\.ts$'),
  forbid('behaviours-touch-no-port', 'A behaviour returns effects and the runtime performs them through ports; only `import type` from a port is fine.',
    '^actors/(behaviours|planners)/', { path: '^actors/ports/', ...value }),

  forbid('pure-no-node-builtins', 'protocols/, actors/ and sim/ do no I/O: put it behind a port (actors/ports/) with an adapter in node/.',
    pure, { dependencyTypes: ['core'] }),
  forbid('pure-few-packages', 'protocols/, actors/ and sim/ import no npm package but zod (and msgpackr in wire.ts, @noble in the kernel).',
    pure, { path: npm, pathNot: [zod, msgpackr, noble] }),
  forbid('msgpackr-in-wire-only', 'Bytes are made in one place: use encodeFrame/decodeFrame or encodeValue/decodeValue of protocols/wire.ts.',
    { path: pure, pathNot: '^protocols/wire\\.ts$' }, msgpackr),
  forbid('noble-in-kernel-only', 'Hashes and signatures are made in one place: use protocols/kernel/hashing.ts.',
    { path: pure, pathNot: '^protocols/kernel/' }, noble),

  forbid('node-never-meets-sim', 'The real world knows nothing of the simulated one: share through actors/ or protocols/.',
    '^node/', '^sim/'),
  forbid('sim-never-meets-node', 'The simulator knows nothing of the real world: share through actors/ or protocols/.',
    '^sim/', '^node/'),
  forbid('only-main-builds-adapters', 'Adapters are put together in node/main.ts (or node/main/): take the port as an argument instead.',
    { path: '^node/([^/]+)/', pathNot: '^node/main/' }, { path: '^node/.*-adapter\\.ts$', pathNot: '^node/$1/', ...value }),
  forbid('only-main-builds-adapters-top', 'Of the files directly in node/ only main.ts puts adapters together: take the port as an argument instead.',
    { path: '^node/[^/]+\\.ts$', pathNot: '^node/main\\.ts$' }, { path: '^node/.*-adapter\\.ts$', ...value }),
  forbid('models-when-needed', 'Most nodes have no models and load nothing for them: import node/models/ where they are needed (`await import(…)`), or write `import type`.',
    { path: '^node/', pathNot: '^node/models/' }, { path: '^node/models/', pathNot: '^node/models/local-servers\\.ts$', dynamic: false, ...value }),
  forbid('adapters-meet-ports-only', 'An adapter implements a port: from actors/ it may import ports and mesh-api only.',
    '^(node|sim)/.*-adapter\\.ts$', { path: '^actors/', pathNot: '^actors/(ports/|mesh-api\\.ts$)' }),
  forbid('adapters-take-types-only', 'A port has no code to run: write `import type`.',
    '^(node|sim)/.*-adapter\\.ts$', { path: '^actors/(ports/|mesh-api\\.ts$)', ...value }),

  forbid('nobody-imports-scripts', 'scripts/ is a user of the sources, not a part of them: move the shared code into the room it belongs to.',
    { path: '.', pathNot: '^(test|scripts|bin)/' }, '^scripts/'),
  forbid('nobody-imports-test', 'test/ is a user of everything, a part of nothing: move the shared code into the room it belongs to.',
    { path: '.', pathNot: '^test/' }, '^test/'),
  forbid('web-takes-types-only', 'The dashboard talks HTTP and SSE: write `import type`.',
    '^web/', { path: '^(protocols|actors|node|sim)/', ...value }),

  forbid('no-cycles', 'Two files that import each other are one file or need a third; a cycle of types counts too.',
    '^(protocols|actors|node|sim|scripts|test|web|examples)/', { circular: true }),
  forbid('everything-resolves', 'The file or package is not there: mind the spelling and the .ts extension, or install the package.',
    {}, { couldNotResolve: true }),
  forbid('declared-packages-only', 'A package that the sources use belongs in `dependencies` of package.json.',
    '^(protocols|actors|node|sim)/', { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], ...value }),
]

module.exports = {
  forbidden,
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|test/fixtures)/' },
    moduleSystems: ['es6', 'cjs'],
    tsPreCompilationDeps: true,
    detectProcessBuiltinModuleCalls: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['node', 'import', 'require', 'types', 'default'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.cjs', '.json', '.d.ts'],
      mainFields: ['module', 'main', 'types', 'typings'],
    },
  },
}
