import { describe, expect, it } from 'vitest'
import { DependencyCollector } from '../../../../node/skills/repo-report/measure-dependencies.ts'

function read(files: Readonly<Record<string, string>>) {
  const collector = new DependencyCollector()
  for (const [path, text] of Object.entries(files)) collector.add({ path, text })
  return collector.report(20)
}

/** path, text, [ecosystem, runtime, development] */
const manifests: readonly (readonly [string, string, readonly [string, number, number]])[] = [
  ['package.json', '{"dependencies":{"a":"1"},"peerDependencies":{"a":"1","b":"1"},"devDependencies":{"c":"1"}}', ['npm', 2, 1]],
  ['deno.json', '{"imports":{"@std/fs":"jsr:@std/fs@1","./":"./src/"}}', ['Deno', 1, 0]],
  ['pyproject.toml', '[project]\nname="p"\ndependencies=["requests[socks]>=2","Flask ; python_version>\'3\'"]\n[project.optional-dependencies]\ntest=["pytest"]\n', ['PyPI', 2, 1]],
  ['poetry/pyproject.toml', '[tool.poetry.dependencies]\npython="^3"\nhttpx="*"\n[tool.poetry.group.dev.dependencies]\nruff="*"\n', ['PyPI', 1, 1]],
  ['requirements.txt', '# c\n-r other.txt\nrequests==2\n\nflask\n', ['PyPI', 2, 0]],
  ['requirements-dev.txt', 'pytest\n', ['PyPI', 0, 1]],
  ['Pipfile', '[packages]\na="*"\n[dev-packages]\nb="*"\n', ['PyPI', 1, 1]],
  ['setup.py', 'setup(name="p", install_requires=["a>=1", "b"])', ['PyPI', 2, 0]],
  ['Cargo.toml', '[package]\nname="p"\nlicense="MIT"\n[dependencies]\nserde="1"\n[dev-dependencies]\nx="1"\n', ['Cargo', 1, 1]],
  ['go.mod', 'module example.org/m\n\nrequire (\n\texample.org/a v1.0.0\n\texample.org/b v1.0.0 // indirect\n)\nrequire example.org/c v0.1.0\n', ['Go', 2, 0]],
  ['pom.xml', '<project><artifactId>p</artifactId><dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId></dependency><dependency><groupId>g</groupId><artifactId>t</artifactId><scope>test</scope></dependency></dependencies></project>', ['Maven', 1, 1]],
  ['build.gradle.kts', 'dependencies {\n  implementation("org.a:b:1.0")\n  api(libs.guava)\n  testImplementation("junit:junit:4")\n}\n', ['Gradle', 2, 1]],
  ['A.csproj', '<Project><ItemGroup><PackageReference Include="X" Version="1" /><PackageReference Include="Y" /></ItemGroup></Project>', ['NuGet', 2, 0]],
  ['Package.swift', 'let package = Package(name: "p", dependencies: [.package(url: "https://example.org/o/swift-nio.git", from: "2.0.0")])', ['Swift', 1, 0]],
  ['Gemfile', 'gem "rails"\ngroup :development, :test do\n  gem "rspec"\nend\n', ['RubyGems', 1, 1]],
  ['p.gemspec', 'Gem::Specification.new do |s|\n s.name = "p"\n s.add_dependency "a"\n s.add_development_dependency "b"\nend', ['RubyGems', 1, 1]],
  ['composer.json', '{"name":"o/p","require":{"php":">=8","o/a":"1"},"require-dev":{"o/b":"1"}}', ['Composer', 1, 1]],
  ['pubspec.yaml', 'name: p\ndependencies:\n  flutter:\n    sdk: flutter\n  http: ^1\ndev_dependencies:\n  lints: ^2\n', ['pub.dev', 1, 1]],
  ['mix.exs', 'def project, do: [app: :p]\ndefp deps, do: [{:jason, "~> 1.0"}, {:credo, "~> 1.0", only: [:dev]}]', ['Hex', 1, 1]],
  ['Dockerfile', 'FROM --platform=linux/amd64 node:24 AS build\nFROM registry.example.org:5000/o/run:1@sha256:aa\nCOPY --from=build /a /b\nFROM build\n', ['Docker', 2, 0]],
  ['environment.yml', 'name: e\ndependencies:\n  - python=3\n  - numpy=1\n  - pip:\n    - rich\n', ['Conda', 2, 0]],
]

describe('package manifests', () => {
  it.each(manifests)('%s', (path, text, [ecosystem, dependencies, developmentDependencies]) => {
    const { manifests: found, problems } = read({ [path]: text })
    expect(problems).toEqual([])
    expect(found).toMatchObject([{ path, ecosystem, dependencies, developmentDependencies }])
  })

  it('find the lock file of their own folder or of one above', () => {
    const lock = JSON.stringify({ packages: { '': {}, 'node_modules/x': { license: 'MIT' }, 'node_modules/y': {} } })
    const manifest = '{"dependencies":{"x":"1"}}'
    const found = read({ 'a/package.json': manifest, 'a/b/package.json': manifest, 'c/package.json': manifest, 'a/package-lock.json': lock })
    expect(found.manifests.map((each) => each.lockFile)).toEqual(['a/package-lock.json', 'a/package-lock.json', undefined])
    expect(found.withoutLockFile).toEqual(['c/package.json'])
    expect(found.byEcosystem).toMatchObject({ npm: { manifests: 3, dependencies: 3, locked: 2 } })
    expect(found.direct).toMatchObject([{ name: 'x', manifests: 3, development: false }])
  })

  const locks: readonly (readonly [string, string, number])[] = [
    ['package-lock.json', '{"lockfileVersion":1,"dependencies":{"a":{"dependencies":{"b":{}}},"c":{}}}', 3],
    ['yarn.lock', '# yarn lockfile v1\n\n"@a/b@^1", "@a/b@^2":\n  version "1"\n\nc@1:\n  version "1"\n', 2],
    ['pnpm-lock.yaml', "lockfileVersion: '9.0'\npackages:\n  a@1:\n    resolution: {}\n  b@1:\n    resolution: {}\n", 2],
    ['poetry.lock', '[[package]]\nname="a"\n[[package]]\nname="b"\n', 2],
    ['Cargo.lock', 'version = 3\n[[package]]\nname="a"\nversion="1"\n', 1],
    ['go.sum', 'example.org/a v1.0.0 h1:x=\nexample.org/a v1.0.0/go.mod h1:y=\nexample.org/b v1.0.0/go.mod h1:z=\n', 2],
    ['Gemfile.lock', 'GEM\n  specs:\n    a (1)\n      b (>= 1)\n    b (1)\n', 2],
    ['composer.lock', '{"packages":[{"name":"a","license":["MIT"]}],"packages-dev":[{"name":"b"}]}', 2],
    ['mix.lock', '%{\n  "a": {:hex, :a, "1"},\n}\n', 1],
  ]
  it.each(locks)('%s', (path, text, packages) => {
    expect(read({ [path]: text }).lockFiles).toMatchObject([{ path, packages }])
  })

  it('that are broken are named, without quoting them', () => {
    const found = read({ 'package.json': '{"dependencies": hunter2', 'Cargo.toml': '= = =', 'pnpm-lock.yaml': 'a: [', 'b/package.json': '[]' })
    expect(found.problems.map((problem) => problem.path)).toEqual(['package.json', 'Cargo.toml', 'pnpm-lock.yaml'])
    expect(JSON.stringify(found)).not.toContain('hunter2')
  })
})
