/** Which files describe a project: package manifests, lock files, licences. They share packs, so that one task can read all of them cheaply. */

const exact = new Set([
  'package.json', 'package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', 'pnpm-lock.yaml', 'bun.lock', 'bun.lockb', 'deno.json', 'deno.lock',
  'pyproject.toml', 'pipfile', 'pipfile.lock', 'poetry.lock', 'uv.lock', 'pdm.lock', 'setup.cfg', 'setup.py', 'environment.yml',
  'cargo.toml', 'cargo.lock', 'go.mod', 'go.sum', 'pom.xml', 'build.gradle', 'build.gradle.kts', 'gradle.lockfile', 'libs.versions.toml',
  'gemfile', 'gemfile.lock', 'composer.json', 'composer.lock', 'packages.config', 'packages.lock.json', 'directory.packages.props',
  'package.swift', 'package.resolved', 'pubspec.yaml', 'pubspec.lock', 'dockerfile', 'containerfile', 'mix.exs', 'mix.lock',
])

const patterns = [
  /^requirements([-_.].*)?\.(txt|in)$/, /\.(csproj|fsproj|vbproj)$/, /\.gemspec$/, /^dockerfile\..+$/, /\.dockerfile$/,
  /^(licen[cs]e|copying|unlicense|notice)([-_.].*)?$/, /^(licen[cs]e)s?[-_].+$/,
]

/** @param path relative, with `/`. */
export function isProjectFile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase()
  return exact.has(name) || patterns.some((pattern) => pattern.test(name))
}

export function isLicenceFile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase()
  return /^(licen[cs]es?|copying|unlicense)([-_.].*)?$/.test(name) && !/\.(js|ts|py|go|rs|java|c|h|rb|php|json|html|css|yml|yaml)$/.test(name)
}
