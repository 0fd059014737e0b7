/** Which reader reads which file. */
import * as compiled from './compiled.ts'
import * as javascript from './javascript.ts'
import type { LockReader, ManifestReader } from './manifest-parser.ts'
import * as other from './other.ts'
import * as python from './python.ts'

const manifests: readonly (readonly [RegExp, ManifestReader])[] = [
  [/^package\.json$/, javascript.readPackageJson],
  [/^deno\.jsonc?$/, javascript.readDenoJson],
  [/^pyproject\.toml$/, python.readPyproject],
  [/^requirements([-_.].*)?\.(txt|in)$/, python.readRequirements],
  [/^pipfile$/, python.readPipfile],
  [/^setup\.(cfg|py)$/, python.readSetup],
  [/^cargo\.toml$/, compiled.readCargo],
  [/^go\.mod$/, compiled.readGoMod],
  [/^pom\.xml$/, compiled.readPom],
  [/^build\.gradle(\.kts)?$/, compiled.readGradle],
  [/^libs\.versions\.toml$/, compiled.readGradleCatalogue],
  [/\.(csproj|fsproj|vbproj)$|^packages\.config$|^directory\.packages\.props$/, compiled.readNuGet],
  [/^package\.swift$/, compiled.readSwift],
  [/^gemfile$/, other.readGemfile],
  [/\.gemspec$/, other.readGemspec],
  [/^composer\.json$/, other.readComposer],
  [/^pubspec\.yaml$/, other.readPubspec],
  [/^mix\.exs$/, other.readMix],
  [/^(docker|container)file(\..+)?$|\.dockerfile$/, other.readDockerfile],
  [/^environment\.ya?ml$/, other.readConda],
]

const locks: readonly (readonly [RegExp, LockReader])[] = [
  [/^(package-lock|npm-shrinkwrap)\.json$/, javascript.readPackageLock],
  [/^yarn\.lock$/, javascript.readYarnLock],
  [/^pnpm-lock\.yaml$/, javascript.readPnpmLock],
  [/^bun\.lock$/, javascript.readBunLock],
  [/^deno\.lock$/, javascript.readDenoLock],
  [/^(poetry|uv|pdm)\.lock$/, python.readTomlPackages('PyPI')],
  [/^pipfile\.lock$/, python.readPipfileLock],
  [/^cargo\.lock$/, python.readTomlPackages('Cargo')],
  [/^go\.sum$/, compiled.readGoSum],
  [/^gradle\.lockfile$/, compiled.readGradleLock],
  [/^packages\.lock\.json$/, compiled.readNuGetLock],
  [/^package\.resolved$/, compiled.readSwiftLock],
  [/^gemfile\.lock$/, other.readGemLock],
  [/^composer\.lock$/, other.readComposerLock],
  [/^pubspec\.lock$/, other.readPubspecLock],
  [/^mix\.lock$/, other.readMixLock],
]

function readerFor<Reader>(table: readonly (readonly [RegExp, Reader])[], path: string): Reader | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase()
  return table.find(([pattern]) => pattern.test(name))?.[1]
}

export function manifestReader(path: string): ManifestReader | undefined {
  return readerFor(manifests, path)
}

export function lockReader(path: string): LockReader | undefined {
  return readerFor(locks, path)
}

/** Ecosystems in which an application is expected to have a lock file. */
export const lockedEcosystems: ReadonlySet<string> = new Set(['npm', 'Deno', 'PyPI', 'Cargo', 'Go', 'RubyGems', 'Composer', 'pub.dev', 'Hex', 'Swift'])
