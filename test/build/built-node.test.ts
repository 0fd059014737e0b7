/** A node from the bundle, with nothing beside it but the packages that stay outside: it starts, runs skills in threads, and answers the command line. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ready, parseReadyLine } from '../../node/cli/ready-line.ts'
import { packageFolders } from '../../scripts/build/third-party-licences.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

const skill = `import { threadId } from 'node:worker_threads'
import { defineSkill, z } from 'skein/skill'
export default defineSkill({
  capability: 'text.shout', version: '1.0', summary: 'says it loudly', effects: 'none',
  input: z.object({ text: z.string() }), output: z.object({ text: z.string(), threadId: z.number() }),
  run: ({ text }) => ({ text: text.toUpperCase(), threadId }),
})
`

/** What npm would install for the package: the named packages and what they need, from this clone. */
function install(names: readonly string[], into: string): void {
  const wanted = [...names]
  const seen = new Set<string>()
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    const folder = join(root, 'node_modules', name)
    mkdirSync(dirname(join(into, name)), { recursive: true })
    symlinkSync(folder, join(into, name))
    const { dependencies = {} } = createRequire(import.meta.url)(join(folder, 'package.json')) as { dependencies?: Record<string, string> }
    wanted.push(...Object.keys(dependencies))
  }
}

describe('the built node', () => {
  let folder: string
  let bin: string
  let child: ChildProcess | undefined
  let ready: Ready

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'skein-built-'))
    await run(process.execPath, [join(root, 'scripts/build.ts'), '--out', join(folder, 'dist')])
    const packaged = join(folder, 'dist/package')
    const manifest = JSON.parse(readFileSync(join(packaged, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
    install(Object.keys(manifest.dependencies), join(packaged, 'node_modules'))
    bin = join(packaged, 'bin/skein.js')
    writeFileSync(join(folder, 'shout.skill.ts'), skill)
    mkdirSync(join(folder, 'project'))
    writeFileSync(join(folder, 'project/main.ts'), 'export const answer = 42\n')
    const started = spawn(process.execPath, [
      bin, 'node', 'start', '--json', '--with-parent', '--no-mdns', '--data', join(folder, 'data'), '--skill', join(folder, 'shout.skill.ts'),
      '--listen-host', '127.0.0.1', '--listen-port', '0', '--http-port', '0', '--log-level', 'warn',
    ], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] })
    child = started
    ready = await new Promise<Ready>((done, reject) => {
      createInterface({ input: started.stdout }).on('line', (line) => {
        const parsed = parseReadyLine(line)
        if (parsed !== undefined) done(parsed)
      })
      started.once('exit', (code) => reject(new Error(`the node ended with ${String(code)} before it was ready`)))
    })
  }, 240_000)
  afterAll(async () => {
    if (child?.exitCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  }, 60_000)

  const mission = async (...argv: string[]): Promise<unknown> => JSON.parse((await run(process.execPath, [bin, 'run', ...argv, '--json', '--url', ready.http ?? ''], { cwd: folder })).stdout)

  test('runs a skill of a file in a thread', async () => {
    const done = await mission('text.shout', '--input', 'text=hello') as { state: string; result: { text: string; threadId: number } }
    expect(done).toMatchObject({ state: 'completed', result: { text: 'HELLO' } })
    // 0 is the node's own loop.
    expect(done.result.threadId).toBeGreaterThan(0)
  })

  test('reports on a folder by the built-in skills, with all that they load', async () => {
    expect(await mission('repo.report', '--input', 'folder=./project')).toMatchObject({ state: 'completed', result: { totals: { files: 1 }, missing: [] } })
  })

  test('answers questions from documents, with the readers that are loaded for them', async () => {
    for (const [question, quote] of [['Why was the brake lever recalled?', 'hinge could break'], ['When is the next delivery of the battery?', '2027-01-18'], ['What is the price of the bell?', '12.50'], ['How many kilometres does eco mode reach?', '120 kilometres']]) {
      const done = await mission('docs.answer', '--input', `path=${join(root, 'test/fixtures/docs-answer/handbook')}`, '--input', `question=${question}`) as { state: string; result: { answered: boolean; citations: { quote: string }[] } }
      expect(done).toMatchObject({ state: 'completed', result: { answered: true } })
      expect(done.result.citations.map((citation) => citation.quote).join('\n')).toContain(quote)
    }
  }, 120_000)

  test('answers the other commands, which a start does not load', async () => {
    expect((await run(process.execPath, [bin, 'nodes', '--json', '--url', ready.http ?? ''], { cwd: folder })).stdout).toContain(ready.peerId)
    expect((await run(process.execPath, [bin, '--help'], { cwd: folder })).stdout).toContain('doctor')
  })

  test('reads YAML: the shipped roles, roles of one\'s own, a configuration, a mission that is posted', async () => {
    const home = join(folder, 'home')
    mkdirSync(join(home, 'roles'), { recursive: true })
    writeFileSync(join(home, 'roles/lawyer.yaml'), 'name: lawyer\nsummary: reads contracts\nprompt: You read contracts.\n')
    writeFileSync(join(home, 'skein.config.yaml'), 'name: goose\nroles: roles\n')
    const said = async (...argv: string[]): Promise<string> => (await run(process.execPath, [bin, ...argv, '--data', join(folder, 'data')], { cwd: home })).stdout
    expect(await said('roles', 'list')).toMatch(/^analyst +shipped/m)
    expect(await said('roles', 'show', 'lawyer')).toContain('You read contracts.')
    expect(await said('config', 'show')).toMatch(/^name +goose/m)
    const posted = await fetch(`${ready.http ?? ''}/v1/missions`, { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: 'capability: text.shout\ninput: { text: hello }\n' })
    expect(posted.status).toBe(202)
  })

  test('names what was bundled, with its licence', () => {
    const packaged = join(folder, 'dist/package')
    const licences = readFileSync(join(packaged, 'THIRD-PARTY-LICENCES.txt'), 'utf8')
    for (const name of ['libp2p', '@libp2p/gossipsub', 'zod', 'hono']) expect(licences).toMatch(new RegExp(`^${name} [0-9.]+ \\(`, 'm'))
    expect(licences).toContain('Permission is hereby granted')
    // Nothing but these is looked for outside.
    expect(readdirSync(packaged).sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'THIRD-PARTY-LICENCES.txt', 'bin', 'dist', 'node_modules', 'package.json', 'types'])
  })
})

test('packages are told by the folders of their modules, also when they lie within another', () => {
  expect(packageFolders(['node/main.ts', 'node_modules/zod/v4/index.js', 'node_modules/zod/index.js', 'node_modules/@libp2p/tcp/a.js', 'node_modules/a/node_modules/b/c.js']))
    .toEqual(['node_modules/@libp2p/tcp', 'node_modules/a/node_modules/b', 'node_modules/zod'])
})
