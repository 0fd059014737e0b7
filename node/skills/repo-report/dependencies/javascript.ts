import { parse as parseYaml } from 'yaml'
import { keysAt, tableOf, textOf, at, namesIn } from './manifest-parser.ts'
import type { LockReader, ManifestReader } from './manifest-parser.ts'

function licenceOf(manifest: unknown): string | undefined {
  const stated = at(manifest, 'license')
  if (typeof stated === 'string') return textOf(stated)
  const old = at(manifest, 'licenses')
  const types = Array.isArray(old) ? old.map((each) => textOf(at(each, 'type'))).filter((type) => type !== undefined) : []
  return textOf(at(stated, 'type')) ?? (types.length > 0 ? types.join(' OR ') : undefined)
}

/** package.json */
export const readPackageJson: ManifestReader = (text) => {
  const manifest: unknown = JSON.parse(text)
  return {
    ecosystem: 'npm',
    name: textOf(at(manifest, 'name')),
    version: textOf(at(manifest, 'version')),
    licence: licenceOf(manifest),
    runtime: [...new Set([...keysAt(manifest, 'dependencies'), ...keysAt(manifest, 'optionalDependencies'), ...keysAt(manifest, 'peerDependencies')])],
    development: keysAt(manifest, 'devDependencies'),
  }
}

/** deno.json */
export const readDenoJson: ManifestReader = (text) => {
  const manifest: unknown = JSON.parse(text.replace(/^\s*\/\/.*$/gm, ''))
  return { ecosystem: 'Deno', name: textOf(at(manifest, 'name')), version: textOf(at(manifest, 'version')), licence: licenceOf(manifest), runtime: keysAt(manifest, 'imports').filter((name) => !name.endsWith('/')), development: [] }
}

/** package-lock.json, versions 1 to 3 */
export const readPackageLock: LockReader = (text) => {
  const lock: unknown = JSON.parse(text)
  const packages = Object.entries(tableOf(at(lock, 'packages'))).filter(([path]) => path !== '')
  if (packages.length > 0) return { ecosystem: 'npm', packages: packages.length, licences: packages.map(([, entry]) => licenceOf(entry)).filter((licence) => licence !== undefined) }
  return { ecosystem: 'npm', packages: countNested(at(lock, 'dependencies')), licences: [] }
}

function countNested(dependencies: unknown): number {
  let count = 0
  const pending = [dependencies]
  while (pending.length > 0) {
    for (const entry of Object.values(tableOf(pending.pop()))) {
      count++
      pending.push(at(entry, 'dependencies'))
    }
  }
  return count
}

/** yarn.lock, both formats: every entry begins at the margin and ends in a colon. */
export const readYarnLock: LockReader = (text) => ({ ecosystem: 'npm', packages: namesIn(text, /^("?[^\s#"_][^\n]{0,400}):$/gm).length, licences: [] })

/** pnpm-lock.yaml */
export const readPnpmLock: LockReader = (text) => {
  const lock: unknown = parseYaml(text, { maxAliasCount: 100 })
  return { ecosystem: 'npm', packages: keysAt(lock, 'packages').length, licences: [] }
}

/** bun.lock: JSON with trailing commas. */
export const readBunLock: LockReader = (text) => ({ ecosystem: 'npm', packages: keysAt(JSON.parse(text.replace(/,(\s*[}\]])/g, '$1')), 'packages').length, licences: [] })

/** deno.lock */
export const readDenoLock: LockReader = (text) => {
  const lock: unknown = JSON.parse(text)
  return { ecosystem: 'Deno', packages: keysAt(lock, 'npm').length + keysAt(lock, 'jsr').length + keysAt(lock, 'remote').length, licences: [] }
}
