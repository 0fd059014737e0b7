/** `npm start`: what somebody shows a friend, as they start it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
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

const workerDied = /^killed (node-[bc]) at \d+\.\d s · node-[abc] took over after \d+\.\d s · (node-[bc]) is back after \d+\.\d s$/m
const ownerDied = /^killed the owner (node-[abc]) at \d+\.\d s · (node-[abc]) leads the mission after \d+\.\d s · 0 finished tasks repeated$/m

function expectTheShow({ out, err }: Pick<CommandResult, 'out' | 'err'>): void {
  // Not a terminal: plain lines, nothing redrawn, no colours.
  // eslint-disable-next-line no-control-regex
  expect(out).not.toMatch(/\u001b\[/)
  for (const name of ['node-a', 'node-b', 'node-c']) expect(out).toMatch(new RegExp(`^${name} +process \\d+ +http://127\\.0\\.0\\.1:\\d+`, 'm'))
  expect(out).toMatch(/awarded .* → node-[abc] .*bids?: node-[abc]/)
  const [, worker = '', back] = workerDied.exec(out) ?? expect.fail(`no worker died: ${out}${err}`)
  expect(back).toBe(worker)
  expect(out).toMatch(new RegExp(`^kill -9 \\d+: ${worker} dies in the middle of \\d+ tasks?; it is started again$`, 'm'))
  expect(out).toMatch(new RegExp(`lost .* by ${worker}: the connection to the worker was lost`))
  const [, owner = '', successor] = ownerDied.exec(out) ?? expect.fail(`no owner died: ${out}${err}`)
  expect(owner).not.toBe(worker)
  expect(successor).not.toBe(owner)
  expect(out).toMatch(new RegExp(`^kill -9 \\d+: ${owner}, which leads the mission, dies for good: [1-9]\\d* tasks? accepted, [1-9]\\d* running, \\w+ waiting$`, 'm'))
  expect(out).toMatch(new RegExp(`owner +${successor} carries on`))
  expect(out).toMatch(/^For example .* bid .* won: /m)
  expect(out).toMatch(new RegExp(`^${owner} .*killed for good$`, 'm'))
  expect(out).toMatch(new RegExp(`^${worker} .*killed, back$`, 'm'))
  expect(out).toMatch(/join skein:\/\//)
}

function reportIn(written: string): RepoReport {
  expect(readdirSync(written).sort()).toEqual(['report.html', 'report.json', 'report.md'])
  expect(readFileSync(join(written, 'report.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\s*$/i)
  return RepoReport.parse(JSON.parse(readFileSync(join(written, 'report.json'), 'utf8')))
}

it('reports on this repository, kills a worker and the owner at it, and leaves nothing behind', async () => {
  const result = await npmStart().ended
  expect(result.code, result.err + result.out).toBe(0)
  expectTheShow(result)
  // A repository has enough to do for the moment at which some tasks wait.
  expect(result.out).toMatch(/dies for good: .* [1-9]\d* waiting$/m)
  // Where the person is, not where npm is.
  const report = reportIn(join(folder, 'skein-report'))
  expect(report.missing).toEqual([])
  expect(report.languages[0]?.name).toBe('TypeScript')
  expect(report.secrets.places.filter((place) => !place.path.startsWith('test/'))).toEqual([])
  expect(readdirSync(folder).filter((name) => name.startsWith('skein-'))).toEqual(['skein-report'])
}, 240_000)

it('does so with a small folder, keeps the mesh up when asked to, says where it is, and stops when told', async () => {
  cpSync(join(repositoryFolder, 'node_modules', 'libp2p', 'src'), join(folder, 'small'), { recursive: true })
  const demo = startSkein(['demo', '--keep', join(folder, 'small'), '--output', join(folder, 'report')], { cwd: folder, env: environment })
  groups.push(demo.pid)
  await until(() => demo.out().includes('Ctrl-C stops it'), { what: 'the mesh to be kept', timeoutMs: 150_000, context: () => demo.out() + demo.err() })
  expectTheShow({ out: demo.out(), err: demo.err() })
  const report = reportIn(join(folder, 'report'))
  const counted = countFolder(join(folder, 'small'))
  expect(report.totals).toMatchObject({ files: counted.files, sizeBytes: counted.sizeBytes, lines: counted.lines })
  expect(report.missing).toEqual([])
  expect(readFileSync(join(folder, 'report', 'report.md'), 'utf8')).toContain(counted.lines.toLocaleString('en'))
  // Those that are left are there: the owner is not.
  const urls = [...(/^The mesh stays up\. .*$/m.exec(demo.out())?.[0] ?? '').matchAll(/http:\/\/[\d.]+:\d+/g)].map(([url]) => url)
  expect(urls).toHaveLength(2)
  for (const url of urls) expect(await createMeshClient(url).health()).toMatchObject({ ok: true })
  demo.child.kill('SIGINT')
  expect((await demo.ended).code).toBe(0)
}, 240_000)

it('names a folder that is not there, and starts nothing', async () => {
  const { code, err } = await npmStart('no-such-folder').ended
  expect(code).toBe(2)
  expect(err).toContain(`there is no folder at ${join(folder, 'no-such-folder')}`)
}, 60_000)
