/** Reads the files that describe a project and adds them up. Pure, given their texts. */
import { isLicenceFile } from '../../folders/project-files.ts'
import type { ParsedManifest } from './dependencies/manifest-parser.ts'
import { lockReader, lockedEcosystems, manifestReader } from './dependencies/readers.ts'
import { licencesInText, spdxName } from './measure/find-licence.ts'
import type { DependencyReport, ManifestFacts } from './schema.ts'

export interface ProjectFile {
  readonly path: string
  /** Secrets already masked. */
  readonly text: string
}

const listedMax = 500

export class DependencyCollector {
  readonly #manifests: ManifestFacts[] = []
  readonly #parsed: { readonly path: string; readonly manifest: ParsedManifest }[] = []
  readonly #locks: { path: string; ecosystem: string; packages: number }[] = []
  readonly #licenceFiles: { path: string; licences: string[] }[] = []
  readonly #lockedLicences = new Map<string, number>()
  readonly #problems: { path: string; reason: string }[] = []

  add({ path, text }: ProjectFile): void {
    if (isLicenceFile(path)) {
      this.#licenceFiles.push({ path, licences: licencesInText(text) })
      return
    }
    try {
      const lock = lockReader(path)?.(text, path)
      if (lock !== undefined) {
        this.#locks.push({ path, ecosystem: lock.ecosystem, packages: lock.packages })
        for (const licence of lock.licences) count(this.#lockedLicences, spdxName(licence))
        return
      }
      const manifest = manifestReader(path)?.(text, path)
      if (manifest !== undefined) this.#parsed.push({ path, manifest })
    } catch {
      // A parser's own message would quote the file.
      this.#problems.push({ path, reason: 'it is not in the format that its name promises' })
    }
  }

  report(topN: number): DependencyReport {
    const folderOf = (path: string) => path.slice(0, path.lastIndexOf('/') + 1)
    const declared = new Map<string, number>()
    const direct = new Map<string, { ecosystem: string; name: string; manifests: number; development: boolean }>()
    const ecosystems = new Map<string, { manifests: number; dependencies: number; developmentDependencies: number; locked: number }>()
    const ecosystem = (name: string) => {
      const known = ecosystems.get(name) ?? { manifests: 0, dependencies: 0, developmentDependencies: 0, locked: 0 }
      ecosystems.set(name, known)
      return known
    }
    const withoutLockFile: string[] = []
    for (const { path, manifest } of this.#parsed.sort((left, right) => (left.path < right.path ? -1 : 1))) {
      const runtime = [...new Set(manifest.runtime)]
      const development = [...new Set(manifest.development)].filter((name) => !runtime.includes(name))
      // A workspace has one lock file at its root.
      const lock = this.#locks.filter((each) => each.ecosystem === manifest.ecosystem && folderOf(path).startsWith(folderOf(each.path))).sort((left, right) => right.path.length - left.path.length)[0]
      const licence = manifest.licence === undefined ? undefined : spdxName(manifest.licence)
      if (licence !== undefined) count(declared, licence)
      if (lock === undefined && runtime.length + development.length > 0 && lockedEcosystems.has(manifest.ecosystem)) withoutLockFile.push(path)
      this.#manifests.push({
        path,
        ecosystem: manifest.ecosystem,
        dependencies: runtime.length,
        developmentDependencies: development.length,
        ...(manifest.name === undefined ? {} : { name: manifest.name }),
        ...(manifest.version === undefined ? {} : { version: manifest.version }),
        ...(licence === undefined ? {} : { licence }),
        ...(lock === undefined ? {} : { lockFile: lock.path }),
      })
      const totals = ecosystem(manifest.ecosystem)
      totals.manifests++
      totals.dependencies += runtime.length
      totals.developmentDependencies += development.length
      for (const name of [...runtime, ...development]) {
        const key = `${manifest.ecosystem} ${name}`
        const known = direct.get(key) ?? { ecosystem: manifest.ecosystem, name: name.slice(0, 214), manifests: 0, development: true }
        direct.set(key, { ...known, manifests: known.manifests + 1, development: known.development && !runtime.includes(name) })
      }
    }
    for (const lock of this.#locks) ecosystem(lock.ecosystem).locked += lock.packages
    const ranked = [...direct.values()].sort((left, right) => right.manifests - left.manifests || Number(left.development) - Number(right.development) || (left.name < right.name ? -1 : 1))
    return {
      manifests: this.#manifests.slice(0, listedMax),
      manifestsTotal: this.#manifests.length,
      byEcosystem: Object.fromEntries(ecosystems),
      direct: ranked.slice(0, Math.max(topN * 5, 50)),
      directTotal: direct.size,
      lockFiles: this.#locks.sort((left, right) => (left.path < right.path ? -1 : 1)).slice(0, listedMax),
      withoutLockFile: withoutLockFile.slice(0, listedMax),
      lockedLicences: topCounts(this.#lockedLicences),
      licenceFiles: this.#licenceFiles.sort((left, right) => left.path.split('/').length - right.path.split('/').length || (left.path < right.path ? -1 : 1)).slice(0, listedMax),
      declaredLicences: topCounts(declared),
      problems: this.#problems.slice(0, 100),
    }
  }
}

function count(into: Map<string, number>, key: string): void {
  into.set(key, (into.get(key) ?? 0) + 1)
}

function topCounts(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1)).slice(0, 100))
}
