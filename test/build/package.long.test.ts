/** The published package: built, packed, installed into an empty folder, and run from there. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
/** The launcher's `#!/usr/bin/env node` must find this Node, whatever the machine's own is. */
const env = { ...process.env, PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter) }

describe('the published package', () => {
  let folder: string
  let home: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'skein-package-'))
    home = join(folder, 'somewhere')
    mkdirSync(home)
    writeFileSync(join(home, 'package.json'), '{ "name": "somewhere", "private": true, "type": "module" }')
    await run(process.execPath, [join(root, 'scripts/build.ts'), '--out', join(folder, 'dist')])
    const { stdout } = await run('npm', ['pack', join(folder, 'dist/package'), '--pack-destination', folder, '--silent'], { cwd: folder })
    await run('npm', ['install', join(folder, stdout.trim()), '--prefer-offline', '--no-audit', '--no-fund'], { cwd: home, env })
  }, 240_000)
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  const skein = (...argv: string[]): Promise<{ stdout: string; stderr: string }> => run(join(home, 'node_modules/.bin/skein'), argv, { cwd: home, env })

  test('says its version', async () => {
    expect((await skein('--version')).stdout).toContain(version)
  })

  test('shows its commands', async () => {
    const { stdout } = await skein('--help')
    for (const command of ['run', 'mission', 'doctor']) expect(stdout).toContain(command)
  })

  test('simulates, on several processes and with the scenarios it carries', async () => {
    expect((await skein('sim', 'list')).stdout).toContain('home-lab')
    expect((await skein('help', 'sim', 'run')).stdout).toContain('--no-checks')
    const ran = await skein('sim', 'run', 'home-lab', '--seed', '3', '--until', '2', '--json', '--html', 'page.html')
    expect(JSON.parse(ran.stdout)).toMatchObject({ scenario: 'home-lab', seed: 3, violations: [] })
    expect(readFileSync(join(home, 'page.html'), 'utf8')).toContain('</html>')
    // Needs a trace that the package carries, and processes that the bundle starts.
    const swept = await skein('sim', 'sweep', 'home-lab', 'llm-serving', '--seeds', '3', '--until', '0.5', '--jobs', '2', '--json')
    expect(JSON.parse(swept.stdout)).toMatchObject({ seeds: 2, failures: [] })
  })

  test('holds no sources, no tests and no development packages', () => {
    const installed = join(home, 'node_modules/skein')
    expect(readdirSync(installed).filter((name) => ['node', 'actors', 'protocols', 'sim', 'test', 'scripts', 'node_modules'].includes(name))).toEqual([])
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>
    expect(manifest['devDependencies']).toBeUndefined()
    expect(manifest['scripts']).toBeUndefined()
    expect(manifest['private']).toBeUndefined()
  })

  test('gives skills their API, with types', async () => {
    writeFileSync(
      join(home, 'count.ts'),
      `import { defineSkill, z } from 'skein/skill'
export default defineSkill({
  capability: 'text.count', version: '1.0', summary: 'counts words', effects: 'none',
  input: z.object({ text: z.string() }), output: z.object({ words: z.number() }),
  run: ({ text }) => ({ words: text.split(' ').length }),
})
`,
    )
    const compilerOptions = { noEmit: true, strict: true, module: 'nodenext', target: 'es2024', types: [] }
    writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['count.ts'] }))
    const compiled = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--project', '.'], { cwd: home }).catch((error: unknown) => error as { stdout: string })
    expect(compiled.stdout).toBe('')
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', "console.log((await import('./count.ts')).default.capability)"], { cwd: home })
    expect(stdout.trim()).toBe('text.count')
  })
})
