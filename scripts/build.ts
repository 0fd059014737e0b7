/**
 * `npm run build`: bundles the sources to dist/ and lays out dist/package/, ready for `npm publish ./dist/package`.
 * `node scripts/build.ts [--out FOLDER]`
 *
 * npm packages are bundled too: hundreds of small files cost a start more than all of Skein, and its memory as well. Outside stay those
 * with native parts (`outside` below), which the published package depends on; what is inside is named, with its licence, in
 * `dist/package/THIRD-PARTY-LICENCES.txt`.
 * The simulator is a program of its own beside it (`dist/sim.js`), with its scenarios in `dist/scenarios/`; the shipped roles are in `dist/shipped/`.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import type { Metafile } from 'esbuild'
import { thirdPartyLicences } from './build/third-party-licences.ts'

const root = resolve(import.meta.dirname, '..')

interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly overrides?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

class BuildError extends Error {}

/**
 * The modules that get a file of their own in the bundle: the command line, the simulator, the API for skills, thread entries
 * (`*.worker.ts`) and whatever the sources name by `siblingModule(import.meta.url, './name')`.
 *
 * @returns source path by the name it has in dist/.
 */
export function findEntries(sources: ReadonlyMap<string, string>): Map<string, string> {
  const entries = new Map([['skein', 'node/cli/main.ts'], ['sim', 'scripts/sim.ts'], ['define-skill', 'node/skills/define-skill.ts']])
  const add = (path: string): void => {
    const name = basename(path, '.ts')
    const other = entries.get(name)
    if (other !== undefined && other !== path) throw new BuildError(`${other} and ${path} would both become ${name}.js in the bundle: rename one`)
    entries.set(name, path)
  }
  for (const [path, text] of sources) {
    if (path.endsWith('.worker.ts')) add(path)
    for (const [call, name] of text.matchAll(/\bsiblingModule\(\s*import\.meta\.url\s*,\s*(?:'([^']+)')?/g)) {
      if (name === undefined) throw new BuildError(`${path}: ${call}…) does not name its module by a plain string, so the build cannot find it`)
      add(join(dirname(path), `${name}.ts`))
    }
    // A path beside the source is another one beside the bundle.
    if (/import\.meta\.(dirname|filename)|new URL\([^()]*import\.meta\.url/.test(text) && !path.endsWith('source-or-bundle.ts')) {
      throw new BuildError(`${path} builds a path from its own place, which differs in the bundle: use siblingModule or siblingFolder of node/source-or-bundle.ts`)
    }
  }
  for (const path of entries.values()) if (!sources.has(path)) throw new BuildError(`${path} is not there, but the bundle needs it`)
  return entries
}

/** Files that only a clone needs; everything else in these rooms is published. */
const unpublished = ['scripts/sim/planted-bugs.ts']

function readSources(): Map<string, string> {
  const sources = new Map<string, string>()
  const add = (path: string): void => {
    if (!unpublished.includes(path)) sources.set(path, readFileSync(join(root, path), 'utf8'))
  }
  for (const room of ['protocols', 'actors', 'node', 'sim', 'scripts/sim']) {
    for (const entry of readdirSync(join(root, room), { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && entry.name.endsWith('.ts')) add(relative(root, join(entry.parentPath, entry.name)))
    }
  }
  add('scripts/sim.ts')
  return sources
}

/** @returns the npm packages that the bundle imports, without subpaths, sorted. */
function importedPackages(metafile: Metafile): string[] {
  const specifiers = Object.values(metafile.outputs).flatMap((output) => output.imports.filter((entry) => entry.external === true).map((entry) => entry.path))
  const names = specifiers.filter((specifier) => !isBuiltin(specifier)).map((specifier) => specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/'))
  return [...new Set(names)].sort()
}

/** Their native parts are found beside their own files. */
const outside = {
  /** As in package.json. */
  needed: ['level'],
  /** Its users do without when it cannot be installed; the version is that of `overrides`. */
  optional: ['msgpackr-extract'],
  /** Bundled, but the `.d.ts` files of the API for skills speak of its types, and a skill without a zod of its own is given this one. */
  types: ['zod'],
} as const

/** CommonJS packages within the modules of the bundle ask for Node's own modules by `require`. */
const requireBanner = "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);"

/** The `.d.ts` files behind `import { defineSkill } from 'skein/skill'`. */
function emitTypes(outDir: string): void {
  const options = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rewriteRelativeImportExtensions', '--rootDir', root, '--outDir', outDir]
  const settings = join(outDir, 'tsconfig.json')
  mkdirSync(outDir, { recursive: true })
  writeFileSync(settings, JSON.stringify({ extends: join(root, 'tsconfig.json'), include: [], files: [join(root, 'node/skills/define-skill.ts')], compilerOptions: { typeRoots: [join(root, 'node_modules/@types')] } }))
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--project', settings, ...options], { stdio: ['ignore', 'inherit', 'inherit'] })
  } finally {
    rmSync(settings)
  }
}

/** What is published: the repository's manifest without what only its clone needs. */
function publishedManifest(manifest: Manifest, packages: readonly string[]): Record<string, unknown> {
  const optional = packages.filter((name) => outside.optional.some((known) => known === name))
  const needed = [...packages.filter((name) => !optional.includes(name)), ...outside.types].sort()
  const missing = needed.filter((name) => manifest.dependencies[name] === undefined)
  if (missing.length > 0) throw new BuildError(`the bundle imports ${missing.join(', ')}, which package.json does not list in dependencies`)
  const kept = Object.fromEntries(['name', 'version', 'description', 'keywords', 'license', 'type', 'repository', 'homepage', 'bin'].filter((field) => manifest[field] !== undefined).map((field) => [field, manifest[field]]))
  return {
    ...kept,
    engines: { node: '>=24' },
    exports: { './skill': { types: './types/node/skills/define-skill.d.ts', default: './dist/define-skill.js' }, './package.json': './package.json' },
    dependencies: Object.fromEntries(needed.map((name) => [name, manifest.dependencies[name]])),
    optionalDependencies: Object.fromEntries(optional.map((name) => [name, manifest.overrides?.[name] ?? '*'])),
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist') } } })
  const out = resolve(values.out)
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  const entries = findEntries(readSources())

  rmSync(out, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(entries),
    outdir: out,
    bundle: true,
    // One copy of each module, whoever imports it: an error made in one entry is an instance of the same class in another.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: [...outside.needed, ...outside.optional],
    banner: { js: requireBanner },
    chunkNames: 'chunk-[hash]',
    // The text of every module stays in memory. Names are kept, and lines are short: an error shows where it came from.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    legalComments: 'eof',
    metafile: true,
    logLevel: 'warning',
  })

  const folder = join(out, 'package')
  mkdirSync(join(folder, 'dist'), { recursive: true })
  for (const name of readdirSync(out).filter((file) => file.endsWith('.js'))) cpSync(join(out, name), join(folder, 'dist', name))
  // Where siblingFolder() looks for them.
  for (const [from, name] of [['sim/scenarios', 'scenarios'], ['node/roles/shipped', 'shipped']] as const) {
    cpSync(join(root, from), join(out, name), { recursive: true })
    cpSync(join(out, name), join(folder, 'dist', name), { recursive: true })
  }
  emitTypes(join(folder, 'types'))
  cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true })
  for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md']) if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name))
  writeFileSync(join(folder, 'THIRD-PARTY-LICENCES.txt'), thirdPartyLicences(root, metafile))
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(publishedManifest(manifest, importedPackages(metafile)), null, 2)}\n`)

  const sizeKb = Math.round(Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0) / 1024)
  console.log(`built ${manifest.name} ${manifest.version}: ${entries.size} entries, ${sizeKb} KiB in ${relative(process.cwd(), out) || out}`)
  console.log(`publish with: npm publish ./${relative(process.cwd(), folder)}`)
}

if (import.meta.main) {
  try {
    await main()
  } catch (error) {
    // esbuild has printed its own errors, with the place of each.
    const printed = error instanceof Error && 'errors' in error
    if (!(error instanceof BuildError) && !printed) throw error
    console.error(`build: ${error.message.split('\n')[0] ?? ''}`)
    process.exitCode = 1
  }
}
