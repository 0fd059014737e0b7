import { parse as parseToml } from 'smol-toml'
import { at, keysAt, listOf, namesIn, tableOf, textOf } from './manifest-parser.ts'
import type { LockReader, ManifestReader } from './manifest-parser.ts'

/** The name in a PEP 508 requirement: `requests[socks]>=2 ; python_version > "3"` → `requests`. */
function requirementName(requirement: unknown): string | undefined {
  if (typeof requirement !== 'string') return undefined
  return /^\s*([A-Za-z0-9][A-Za-z0-9._-]{0,100})/.exec(requirement)?.[1]?.toLowerCase()
}

function namesOf(requirements: unknown): string[] {
  return listOf(requirements).map(requirementName).filter((name) => name !== undefined)
}

/** pyproject.toml: PEP 621, PEP 735 groups and Poetry's own tables. */
export const readPyproject: ManifestReader = (text) => {
  const manifest: unknown = parseToml(text)
  const poetry = at(manifest, 'tool', 'poetry')
  const groups = Object.values(tableOf(at(poetry, 'group'))).flatMap((group) => keysAt(group, 'dependencies'))
  const licence = at(manifest, 'project', 'license')
  return {
    ecosystem: 'PyPI',
    name: textOf(at(manifest, 'project', 'name')) ?? textOf(at(poetry, 'name')),
    version: textOf(at(manifest, 'project', 'version')) ?? textOf(at(poetry, 'version')),
    licence: textOf(licence) ?? textOf(at(licence, 'text'))?.split('\n')[0] ?? textOf(at(poetry, 'license')),
    runtime: [...namesOf(at(manifest, 'project', 'dependencies')), ...keysAt(poetry, 'dependencies').filter((name) => name !== 'python')],
    development: [
      ...Object.values(tableOf(at(manifest, 'project', 'optional-dependencies'))).flatMap(namesOf),
      ...Object.values(tableOf(at(manifest, 'dependency-groups'))).flatMap(namesOf),
      ...keysAt(poetry, 'dev-dependencies'),
      ...groups,
    ],
  }
}

/** requirements*.txt */
export const readRequirements: ManifestReader = (text, path) => {
  const names = text.split('\n').filter((line) => !/^\s*(?:#|-|$|[a-z+]+:\/\/)/i.test(line)).map(requirementName).filter((name) => name !== undefined)
  return /dev|test|lint|doc/i.test(path.slice(path.lastIndexOf('/') + 1)) ? { ecosystem: 'PyPI', runtime: [], development: names } : { ecosystem: 'PyPI', runtime: names, development: [] }
}

/** Pipfile */
export const readPipfile: ManifestReader = (text) => {
  const manifest: unknown = parseToml(text)
  return { ecosystem: 'PyPI', runtime: keysAt(manifest, 'packages'), development: keysAt(manifest, 'dev-packages') }
}

/** setup.cfg and setup.py: what stands in `install_requires`. */
export const readSetup: ManifestReader = (text) => {
  const python = /install_requires\s*=\s*\[([\s\S]{0,20000}?)\]/.exec(text)?.[1]
  const names = python === undefined ? (/^install_requires\s*=\s*\n((?:[ \t]+.*\n?)*)/m.exec(text)?.[1] ?? '').split('\n').map(requirementName) : namesIn(python, /["']([^"']+)["']/g).map(requirementName)
  return {
    ecosystem: 'PyPI',
    name: /^\s*name\s*=\s*["']?([\w.-]+)/m.exec(text)?.[1],
    licence: /^\s*license\s*=\s*["']?([\w. +-]+)/m.exec(text)?.[1]?.trim(),
    runtime: names.filter((name) => name !== undefined),
    development: [],
  }
}

/** poetry.lock, uv.lock and pdm.lock share the shape `[[package]]`. */
export const readTomlPackages = (ecosystem: string): LockReader => (text) => ({ ecosystem, packages: listOf(at(parseToml(text), 'package')).length, licences: [] })

/** Pipfile.lock */
export const readPipfileLock: LockReader = (text) => {
  const lock: unknown = JSON.parse(text)
  return { ecosystem: 'PyPI', packages: keysAt(lock, 'default').length + keysAt(lock, 'develop').length, licences: [] }
}
