/** Cargo, Go, Maven, Gradle, NuGet, Swift. */
import { XMLParser } from 'fast-xml-parser'
import { parse as parseToml } from 'smol-toml'
import { at, keysAt, listOf, namesIn, tableOf, textOf } from './manifest-parser.ts'
import type { LockReader, ManifestReader } from './manifest-parser.ts'

/** Cargo.toml */
export const readCargo: ManifestReader = (text) => {
  const manifest: unknown = parseToml(text)
  const targets = Object.values(tableOf(at(manifest, 'target')))
  return {
    ecosystem: 'Cargo',
    name: textOf(at(manifest, 'package', 'name')),
    version: textOf(at(manifest, 'package', 'version')),
    licence: textOf(at(manifest, 'package', 'license')),
    runtime: [...new Set([...keysAt(manifest, 'dependencies'), ...keysAt(manifest, 'workspace', 'dependencies'), ...targets.flatMap((target) => keysAt(target, 'dependencies'))])],
    development: [...new Set([...keysAt(manifest, 'dev-dependencies'), ...keysAt(manifest, 'build-dependencies')])],
  }
}

/** go.mod: what is not marked `// indirect`. */
export const readGoMod: ManifestReader = (text) => {
  const blocks = [...text.matchAll(/^require\s*\(([\s\S]*?)^\)/gm)].map((match) => match[1] ?? '').join('\n')
  const lines = [...blocks.split('\n'), ...namesIn(text, /^require\s+([^(\s].*)$/gm)].filter((line) => !/\/\/\s*indirect/.test(line))
  return {
    ecosystem: 'Go',
    name: /^module\s+(\S+)/m.exec(text)?.[1],
    runtime: lines.map((line) => /^\s*([^\s/][^\s]*)\s+v/.exec(line)?.[1]).filter((name) => name !== undefined),
    development: [],
  }
}

/** go.sum: one line per module and one per its go.mod. */
export const readGoSum: LockReader = (text) => ({ ecosystem: 'Go', packages: new Set(text.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ').replace(/\/go\.mod$/, '')).filter((key) => key !== '')).size, licences: [] })

const xml = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', processEntities: false })

/** pom.xml */
export const readPom: ManifestReader = (text) => {
  const project = at(xml.parse(text), 'project')
  const dependencies = listOf(at(project, 'dependencies', 'dependency'))
  const name = (dependency: unknown) => [textOf(at(dependency, 'groupId')), textOf(at(dependency, 'artifactId'))].filter((part) => part !== undefined).join(':')
  const isTest = (dependency: unknown) => at(dependency, 'scope') === 'test'
  return {
    ecosystem: 'Maven',
    name: textOf(at(project, 'artifactId')),
    version: textOf(at(project, 'version')),
    licence: textOf(at(listOf(at(project, 'licenses', 'license'))[0], 'name')),
    runtime: dependencies.filter((each) => !isTest(each)).map(name),
    development: dependencies.filter(isTest).map(name),
  }
}

/** build.gradle and build.gradle.kts: coordinates and catalogue names in the usual configurations. */
export const readGradle: ManifestReader = (text) => {
  const names = (configurations: string) => namesIn(text, new RegExp(`^\\s*(?:${configurations})\\s*\\(?\\s*(?:platform\\()?["']?((?:libs|projects)\\.[\\w.]+|[\\w.-]+:[\\w.-]+)`, 'gm'))
  return { ecosystem: 'Gradle', runtime: names('implementation|api|compileOnly|runtimeOnly|kapt|ksp|annotationProcessor'), development: names('testImplementation|testRuntimeOnly|testCompileOnly|androidTestImplementation|debugImplementation') }
}

/** gradle/libs.versions.toml */
export const readGradleCatalogue: ManifestReader = (text) => ({ ecosystem: 'Gradle', name: 'version catalogue', runtime: keysAt(parseToml(text), 'libraries'), development: keysAt(parseToml(text), 'plugins') })

export const readGradleLock: LockReader = (text) => ({ ecosystem: 'Gradle', packages: text.split('\n').filter((line) => /^[\w.-]+:[\w.-]+:/.test(line)).length, licences: [] })

/** *.csproj and its kin, packages.config, Directory.Packages.props */
export const readNuGet: ManifestReader = (text) => {
  const parsed: unknown = xml.parse(text)
  const groups = listOf(at(parsed, 'Project', 'ItemGroup'))
  const references = groups.flatMap((group) => [...listOf(at(group, 'PackageReference')), ...listOf(at(group, 'PackageVersion'))])
  const old = listOf(at(parsed, 'packages', 'package'))
  const properties = listOf(at(parsed, 'Project', 'PropertyGroup'))
  const property = (name: string) => properties.map((group) => textOf(at(group, name))).find((value) => value !== undefined)
  return {
    ecosystem: 'NuGet',
    name: property('PackageId') ?? property('AssemblyName'),
    version: property('Version'),
    licence: property('PackageLicenseExpression'),
    runtime: [...references.map((each) => textOf(at(each, '@Include'))), ...old.map((each) => textOf(at(each, '@id')))].filter((name) => name !== undefined),
    development: [],
  }
}

/** packages.lock.json */
export const readNuGetLock: LockReader = (text) => ({ ecosystem: 'NuGet', packages: new Set(Object.values(tableOf(at(JSON.parse(text), 'dependencies'))).flatMap((framework) => Object.keys(tableOf(framework)))).size, licences: [] })

/** Package.swift: the last part of each package's address, without credentials. */
export const readSwift: ManifestReader = (text) => ({
  ecosystem: 'Swift',
  name: /\bPackage\s*\(\s*name:\s*"([^"]{1,200})"/.exec(text)?.[1],
  runtime: namesIn(text, /\.package\s*\([^)]*?url:\s*"[^"]*?([\w.-]+?)(?:\.git)?\/?"/g),
  development: [],
})

/** Package.resolved, versions 1 to 3 */
export const readSwiftLock: LockReader = (text) => {
  const lock: unknown = JSON.parse(text)
  return { ecosystem: 'Swift', packages: listOf(at(lock, 'pins')).length + listOf(at(lock, 'object', 'pins')).length, licences: [] }
}
