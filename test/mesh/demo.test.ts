/** `npm start`: what somebody shows a friend, as they start it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createMeshClient } from '../../node/http/client.ts'
import { RepoReport } from '../../node/skills/repo-report/report-model.ts'
import { countFolder } from '../support/count-folder.ts'
import { leftovers, markVariable } from '../support/leftovers.ts'
import { bareEnvironment, repositoryFolder, startSkein, type CommandResult } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

let folder: string
let mark: string
let environment: Record<string, string>
const groups: number[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-demo-test-'))
  mark = randomUUID()
  // A key in the environment is nobody's business: no node may get it.
  environment = { TMPDIR: folder, [markVariable]: mark, OPENAI_API_KEY: 'sk-never-to-be-used' }
})
afterEach(async () => {
  await until(() => leftovers(mark, groups).length === 0, { what: 'every process to be gone', timeoutMs: 20_000, context: () => leftovers(mark, groups).join('\n') })
  rmSync(folder, { recursive: true, force: true })
})

/** `npm start -- …` of the repository by a person who is in another folder; its output is not a terminal. */
function npmStart(...args: readonly string[]): { child: ChildProcess; ended: Promise<CommandResult> } {
  const child = spawn('npm', ['--prefix', repositoryFolder, 'start', '--', ...args], { cwd: folder, env: bareEnvironment(environment), stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  groups.push(child.pid ?? 0)
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { err += text })
  return { child, ended: new Promise((resolve, reject) => child.once('error', reject).once('close', (code, signal) => resolve({ code, signal, out, err }))) }
}

const tookOver = /^killed node-[bc] at \d+\.\d s · node-[abc] took over after \d+\.\d s · 0 finished tasks repeated$/m

function expectTheShow({ code, out, err }: CommandResult): void {
  expect(code, err + out).toBe(0)
  // Not a terminal: plain lines, nothing redrawn, no colours.
  // eslint-disable-next-line no-control-regex
  expect(out).not.toMatch(/\u001b\[/)
  for (const name of ['node-a', 'node-b', 'node-c']) expect(out).toMatch(new RegExp(`^${name} +process \\d+ +http://127\\.0\\.0\\.1:\\d+`, 'm'))
  expect(out).toMatch(/awarded .* → node-[abc] .*bids?: node-[abc]/)
  expect(out).toMatch(/^kill -9 \d+: node-[bc] dies in the middle of \d+ tasks?/m)
  expect(out).toMatch(/lost .*the connection to the worker was lost/)
  expect(out).toMatch(tookOver)
  expect(out).toMatch(/^For example .* bid .* won: /m)
  expect(out).toMatch(/^node-[bc] .*killed$/m)
  expect(out).toMatch(/join skein:\/\//)
}

function reportIn(written: string): RepoReport {
  expect(readdirSync(written).sort()).toEqual(['report.html', 'report.json', 'report.md'])
  expect(readFileSync(join(written, 'report.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\s*$/i)
  return RepoReport.parse(JSON.parse(readFileSync(join(written, 'report.json'), 'utf8')))
}

it('reports on a small folder, kills a worker at it and leaves nothing behind', async () => {
  cpSync(join(repositoryFolder, 'node_modules', 'libp2p', 'src'), join(folder, 'small'), { recursive: true })
  const result = await npmStart('small').ended
  expectTheShow(result)
  // Where the person is, not where npm is.
  const report = reportIn(join(folder, 'skein-report'))
  const counted = countFolder(join(folder, 'small'))
  expect(report.totals).toMatchObject({ files: counted.files, sizeBytes: counted.sizeBytes, lines: counted.lines })
  expect(report.missing).toEqual([])
  expect(readFileSync(join(folder, 'skein-report', 'report.md'), 'utf8')).toContain(counted.lines.toLocaleString('en'))
  expect(readdirSync(folder).filter((name) => name.startsWith('skein-'))).toEqual(['skein-report'])
}, 180_000)

it('reports on this repository when no folder is named', async () => {
  const result = await npmStart().ended
  expectTheShow(result)
  const report = reportIn(join(folder, 'skein-report'))
  expect(report.missing).toEqual([])
  expect(report.languages[0]?.name).toBe('TypeScript')
  expect(report.secrets.places.filter((place) => !place.path.startsWith('test/'))).toEqual([])
}, 240_000)

it('keeps the mesh up when asked to, says where it is, and stops when told', async () => {
  mkdirSync(join(folder, 'small'))
  cpSync(join(repositoryFolder, 'examples'), join(folder, 'small', 'examples'), { recursive: true })
  const demo = startSkein(['demo', '--keep', join(folder, 'small'), '--output', join(folder, 'report')], { cwd: folder, env: environment })
  groups.push(demo.pid)
  await until(() => demo.out().includes('Ctrl-C stops it'), { what: 'the mesh to be kept', timeoutMs: 120_000, context: () => demo.out() + demo.err() })
  expect(demo.out()).toMatch(/join skein:\/\/\S+/)
  const urls = [...(/^The mesh stays up\. .*$/m.exec(demo.out())?.[0] ?? '').matchAll(/http:\/\/[\d.]+:\d+/g)].map(([url]) => url)
  const answers = await Promise.allSettled(urls.map((url) => createMeshClient(url).health()))
  expect(answers.filter((answer) => answer.status === 'fulfilled').length).toBeGreaterThanOrEqual(2)
  expect(existsSync(join(folder, 'report', 'report.html'))).toBe(true)
  demo.child.kill('SIGINT')
  expect((await demo.ended).code).toBe(0)
}, 180_000)

it('names a folder that is not there, and starts nothing', async () => {
  const { code, err } = await npmStart('no-such-folder').ended
  expect(code).toBe(2)
  expect(err).toContain(`there is no folder at ${join(folder, 'no-such-folder')}`)
}, 60_000)
