/** Ruby, PHP, Dart, Elixir, Docker, Conda. */
import { parse as parseYaml } from 'yaml'
import { at, keysAt, listOf, namesIn, textOf } from './manifest-parser.ts'
import type { LockReader, ManifestReader } from './manifest-parser.ts'

/** Gemfile: gems inside a development or test group are development. */
export const readGemfile: ManifestReader = (text) => {
  const groups = [...text.matchAll(/^group\s+[^\n]*:(?:development|test)[^\n]*do\b([\s\S]*?)^end/gm)].map((match) => match[1] ?? '').join('\n')
  const development = namesIn(groups, /^\s*gem\s*\(?\s*["']([\w.-]+)["']/gm)
  return { ecosystem: 'RubyGems', runtime: namesIn(text, /^\s*gem\s*\(?\s*["']([\w.-]+)["']/gm).filter((name) => !development.includes(name)), development }
}

/** *.gemspec */
export const readGemspec: ManifestReader = (text) => ({
  ecosystem: 'RubyGems',
  name: /\.name\s*=\s*["']([\w.-]+)["']/.exec(text)?.[1],
  licence: /\.licenses?\s*=\s*\[?\s*["']([^"']{1,80})["']/.exec(text)?.[1],
  runtime: namesIn(text, /\.add_(?:runtime_)?dependency\s*\(?\s*["']([\w.-]+)["']/g),
  development: namesIn(text, /\.add_development_dependency\s*\(?\s*["']([\w.-]+)["']/g),
})

export const readGemLock: LockReader = (text) => ({ ecosystem: 'RubyGems', packages: namesIn(text, /^ {4}([\w.-]+) \(/gm).length, licences: [] })

/** composer.json: `php` and `ext-…` are the platform, not packages. */
export const readComposer: ManifestReader = (text) => {
  const manifest: unknown = JSON.parse(text)
  const licences = listOf(at(manifest, 'license')).map(textOf).filter((licence) => licence !== undefined)
  return {
    ecosystem: 'Composer',
    name: textOf(at(manifest, 'name')),
    version: textOf(at(manifest, 'version')),
    licence: licences.length === 0 ? undefined : licences.join(' OR '),
    runtime: keysAt(manifest, 'require').filter((name) => name.includes('/')),
    development: keysAt(manifest, 'require-dev').filter((name) => name.includes('/')),
  }
}

export const readComposerLock: LockReader = (text) => {
  const lock: unknown = JSON.parse(text)
  const packages = [...listOf(at(lock, 'packages')), ...listOf(at(lock, 'packages-dev'))]
  return { ecosystem: 'Composer', packages: packages.length, licences: packages.map((entry) => textOf(listOf(at(entry, 'license'))[0])).filter((licence) => licence !== undefined) }
}

/** pubspec.yaml */
export const readPubspec: ManifestReader = (text) => {
  const manifest: unknown = parseYaml(text, { maxAliasCount: 100 })
  return {
    ecosystem: 'pub.dev',
    name: textOf(at(manifest, 'name')),
    version: textOf(at(manifest, 'version')),
    runtime: keysAt(manifest, 'dependencies').filter((name) => name !== 'flutter'),
    development: keysAt(manifest, 'dev_dependencies').filter((name) => name !== 'flutter_test'),
  }
}

export const readPubspecLock: LockReader = (text) => ({ ecosystem: 'pub.dev', packages: keysAt(parseYaml(text, { maxAliasCount: 100 }), 'packages').length, licences: [] })

/** mix.exs */
export const readMix: ManifestReader = (text) => {
  const entries = [...text.matchAll(/\{\s*:(\w+)\s*,([^{}]*)\}/g)].filter((match) => /["']|git:|github:|path:/.test(match[2] ?? ''))
  const names = (development: boolean) => entries.filter((match) => /only:\s*(?:\[\s*)?:(?:dev|test)/.test(match[2] ?? '') === development).map((match) => match[1] ?? '')
  return { ecosystem: 'Hex', name: /\bapp:\s*:(\w+)/.exec(text)?.[1], runtime: names(false), development: names(true) }
}

export const readMixLock: LockReader = (text) => ({ ecosystem: 'Hex', packages: namesIn(text, /^\s*"(\w+)":\s*\{/gm).length, licences: [] })

/** Dockerfile: the images it starts from, its own stages left out. */
export const readDockerfile: ManifestReader = (text) => {
  const stages = new Set(namesIn(text, /^\s*FROM\s+.*\sAS\s+(\S+)/gim).map((stage) => stage.toLowerCase()))
  const images = namesIn(text, /^\s*FROM\s+(?:--\S+\s+)*(\S+)/gim).map((image) => image.replace(/@sha256:.*$/, '').replace(/:[^/:]*$/, ''))
  return { ecosystem: 'Docker', runtime: images.filter((image) => !stages.has(image.toLowerCase()) && image !== 'scratch' && !image.startsWith('$')), development: [] }
}

/** environment.yml */
export const readConda: ManifestReader = (text) => {
  const manifest: unknown = parseYaml(text, { maxAliasCount: 100 })
  const names = listOf(at(manifest, 'dependencies')).flatMap((each) => (typeof each === 'string' ? [each] : listOf(at(each, 'pip')).filter((inner) => typeof inner === 'string')))
  return { ecosystem: 'Conda', name: textOf(at(manifest, 'name')), runtime: names.map((name) => /^[\w.-]+/.exec(name.replace(/^.*::/, ''))?.[0] ?? '').filter((name) => name !== '' && name !== 'python'), development: [] }
}
