import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { memberName } from '../../../node/cli/local-mesh.ts'
import { parseReadyLine } from '../../../node/cli/ready-line.ts'
import { createMeshClient } from '../../../node/http/client.ts'
import { adoptMeshKey, createMeshKey } from '../../../node/mesh-key.ts'
import { bin } from './cli-fixture.ts'

const patience = { timeout: 60_000, interval: 50 }
let folder: string
let started: ChildProcess[]
let nodePids: number[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-up-test-'))
  started = []
  nodePids = []
})
afterEach(async () => {
  for (const child of started) child.kill('SIGKILL')
  await expect.poll(() => nodePids.filter(isAlive), patience).toEqual([])
  rmSync(folder, { recursive: true, force: true })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Starts a command that prints a ready line; what it leaves in the temporary folder is in `folder`. */
function start(...argv: string[]): { child: ChildProcess; ready: Promise<Record<string, unknown>>; ended: Promise<number | null>; err: () => string } {
  const child = spawn(process.execPath, [bin, ...argv], { cwd: folder, env: { PATH: process.env['PATH'] ?? '', HOME: folder, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] })
  started.push(child)
  let err = ''
  child.stderr?.on('data', (chunk: Buffer) => { err += chunk.toString() })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const ready = new Promise<Record<string, unknown>>((resolve, reject) => {
    createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).once('line', (line) => resolve(JSON.parse(line) as Record<string, unknown>))
    void ended.then((code) => reject(new Error(`ended with ${String(code)} before it was ready: ${err.slice(-2_000)}`)))
  })
  ready.catch(() => undefined)
  return { child, ready, ended, err: () => err }
}

interface Node {
  readonly name: string
  readonly pid: number
  readonly peerId: string
  readonly http: string
}

async function nodesOf(ready: Promise<Record<string, unknown>>): Promise<Node[]> {
  const { event, nodes } = await ready as { event: string; nodes: Node[] }
  expect(event).toBe('ready')
  nodePids.push(...nodes.map((node) => node.pid))
  return nodes
}

it('starts real processes that see each other, and stops all of them on Ctrl-C', async () => {
  const { child, ready, ended } = start('up', '-n', '2', '--json')
  const nodes = await nodesOf(ready)
  expect(nodes.map((node) => node.name)).toEqual(['node-a', 'node-b'])
  expect(nodes.every((node) => isAlive(node.pid))).toBe(true)
  const seen = await createMeshClient(nodes[1]?.http ?? '').nodes()
  expect(new Set(seen.map((node) => node.peerId))).toEqual(new Set(nodes.map((node) => node.peerId)))
  expect(readdirSync(folder).some((name) => name.startsWith('skein-up-'))).toBe(true)
  child.kill('SIGINT')
  expect(await ended).toBe(0)
  expect(nodes.filter((node) => isAlive(node.pid))).toEqual([])
  expect(readdirSync(folder).filter((name) => name.startsWith('skein-up-'))).toEqual([])
})

it('leaves no node behind when it is killed itself', async () => {
  const { child, ready } = start('up', '-n', '2', '--json')
  const nodes = await nodesOf(ready)
  child.kill('SIGKILL')
  await expect.poll(() => nodes.filter((node) => isAlive(node.pid)), patience).toEqual([])
})

it('names the node that could not start, and stops the others', async () => {
  const key = createMeshKey()
  for (const name of ['node-a', 'node-b']) await adoptMeshKey(join(folder, 'mesh', name), key)
  const first = start('node', 'start', '--json', '--data', join(folder, 'mesh', 'node-b'), '--listen-port', '0', '--http-port', '0', '--listen-host', '127.0.0.1', '--no-mdns')
  const ready = parseReadyLine(JSON.stringify(await first.ready))
  expect(ready?.http).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  nodePids.push(first.child.pid ?? 0)
  const second = start('up', '-n', '3', '--json', '--data', join(folder, 'mesh'))
  expect(await second.ended).not.toBe(0)
  expect(second.err()).toMatch(/node-b could not start: another process is using the data directory/)
  first.child.kill('SIGTERM')
  expect(await first.ended).toBe(0)
  expect(existsSync(join(folder, 'mesh', 'node-b', 'run.json'))).toBe(false)
})

it('names nodes by the alphabet', () => {
  expect([0, 1, 25, 26].map(memberName)).toEqual(['node-a', 'node-b', 'node-z', 'node-27'])
})
