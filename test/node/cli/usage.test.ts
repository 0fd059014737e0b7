import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import os, { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exitCodeOf, exitCodeOfState, exitCodes } from '../../../node/cli/exit-codes.ts'
import { release } from '../../../node/release.ts'
import { type ErrorCode, errorCodes } from '../../../protocols/kernel/errors.ts'
import { missionStates } from '../../../protocols/tasking/schema.ts'
import { type Said, bin, say } from './cli-fixture.ts'

let home: string
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'skein-usage-'))
})
afterAll(() => {
  rmSync(home, { recursive: true, force: true })
})

/** The real bin in a process of its own. */
function skein(...argv: string[]): Promise<Said> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...argv], { cwd: home, env: { PATH: process.env['PATH'] ?? '', HOME: home, NO_COLOR: '1' } }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

describe('the bin', () => {
  it('shows its release and its help', async () => {
    expect(await skein('--version')).toEqual({ code: 0, out: `${release()}\n`, err: '' })
    const help = await skein('--help')
    expect(help.code).toBe(0)
    for (const group of ['Nodes:', 'Missions:', 'The mesh:', 'Skills and more:', 'First steps:']) expect(help.out).toContain(group)
    expect(await skein()).toMatchObject({ code: 0, err: '' })
  })

  it('ends with 2 on bad usage, for people and for programs', async () => {
    const wrong = await skein('rnu')
    expect(wrong).toMatchObject({ code: 2, out: '' })
    expect(wrong.err).toBe("skein: unknown command 'rnu'\n  → did you mean run? see \"skein --help\"\n")
    const json = await skein('nodes', '--bogus', '--json')
    expect(json).toMatchObject({ code: 2, out: '' })
    expect(JSON.parse(json.err)).toEqual({ error: { code: 'bad-request', detail: "unknown option '--bogus'", retryable: false, next: 'see "skein nodes --help"' } })
  })

  it('ends with 4 when no node answers, and says what to start', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    const said = await skein('nodes', '--url', url)
    expect(said.code).toBe(4)
    expect(said.err).toContain(`no node answers at ${url}`)
    expect(said.err).toContain('skein node start')
  })

  it('names file and line of a corrupt configuration before anything is started', async () => {
    writeFileSync(join(home, 'skein.config.yaml'), 'name: goose\nslotz: 2\n')
    try {
      const said = await skein('node', 'start', '--json')
      expect(said).toMatchObject({ code: 2, out: '' })
      expect(JSON.parse(said.err)).toMatchObject({ error: { code: 'bad-request', detail: `${join(home, 'skein.config.yaml')}:2: there is no setting slotz`, next: expect.stringContaining('did you mean slots?') as string } })
    } finally {
      rmSync(join(home, 'skein.config.yaml'))
    }
  })
})

describe('bad usage', () => {
  it.each<[string[], RegExp]>([
    [['run'], /missing required argument/],
    [['run', 'Repo Report'], /is not a capability name/],
    [['run', 'repo.report', '--input', 'path'], /--input "path" is not key=value/],
    [['run', 'repo.report', '--input', 'path=/no/such/folder'], /there is no folder at \/no\/such\/folder/],
    [['run', 'repo.report', '--input-file', '/no/such.json'], /there is no file at/],
    [['run', 'repo.report', '--priority', '11'], /--priority is "11"/],
    [['run', 'repo.report', '--limit', 'leafs=3'], /--limit "leafs=3" is none of leaves=n/],
    [['run', 'repo.report', '--limit', 'leaves=0'], /--limit leaves=0/],
    [['run', 'repo.report', '--ack', 'maybe'], /--ack is "maybe"/],
    [['run', 'no/such/plan.yaml'], /there is no file at/],
    [['run', 'plan.yaml', '--input', 'a=1'], /a plan carries its inputs itself/],
    [['mission', 'show', 'm-1'], /"m-1" is not a mission id/],
    [['mission', 'lst'], /unknown command 'lst'/],
    [['mission', 'list', '--limit', '0'], /--limit is "0"/],
    [['nodes', '--url', 'ftp://x'], /"ftp:\/\/x" is not the url of a bridge/],
    [['up', '-n', '0'], /--nodes is "0"/],
    [['config', 'show', '--listen-port', 'x'], /--listen-port is "x", which is not a number/],
    [['config', 'show', '--set', 'limits.leaseMs'], /is not setting=value/],
    [['config', 'show', '--set', 'limits.leesMs=1'], /there is no setting limits\.leesMs/],
    [['config', 'show', '--name', 'a', '--set', 'name=b'], /name is set twice/],
    [['join', 'skein://broken', '--data', '/nonexistent/skein'], /invite/],
    [['demo', '/no/such/folder'], /there is no folder at/],
    [['skill', 'new', 'Not A Name'], /is not a capability name/],
  ])('skein %j', async (argv, message) => {
    const said = await say(argv)
    expect(said.code).toBe(exitCodes.badUsage)
    expect(said.err).toMatch(message)
    // Always what to do next.
    expect(said.err).toMatch(/\n {2}→ \S/)
  })

  it.each(['trace'])('"skein %s" says in one sentence that it comes later', async (command) => {
    const said = await say([command, 'anything', '--at', 'all'])
    expect(said).toMatchObject({ code: exitCodes.badUsage, out: '' })
    expect(said.err).toContain(`"skein ${command}" is not in this release of Skein`)
  })

  it.each([['run', 'repo.report', '--quote'], ['ask', 'anything', '--quote']])('so does "skein %s %s %s"', async (...argv) => {
    const said = await say([...argv, '--json'])
    expect(said.code).toBe(exitCodes.badUsage)
    expect(JSON.parse(said.err)).toMatchObject({ error: { code: 'not-available' } })
  })
})

describe('exit codes', () => {
  it('are given to every error and every state', () => {
    for (const code of Object.keys(errorCodes) as ErrorCode[]) expect(exitCodeOf(code), code).toBeGreaterThan(0)
    expect(Object.fromEntries(missionStates.map((state) => [state, exitCodeOfState(state)]))).toEqual({
      accepted: 4, planning: 4, running: 4, waiting: 4, paused: 4, synthesising: 4, completed: 0, failed: 1, cancelled: 1, orphaned: 1,
    })
    expect(exitCodeOf('timeout')).toBe(4)
    expect(exitCodeOf('key-conflict')).toBe(3)
    expect(exitCodeOf('bad-plan')).toBe(2)
  })
})

it('config show tells value and origin, and no secret', async () => {
  const said = await say(['config', 'show', '--json', '--set', 'limits.leaseMs=9000'], { cwd: home, env: { SKEIN_SLOTS: '7', SKEIN_HTTP_TOKENS: '{"0123456789abcdef":"ada"}', SKEIN_DATA: home } })
  expect(said.code).toBe(0)
  expect(JSON.parse(said.out)).toMatchObject({ settings: { slots: { value: 7, from: 'environment' }, 'limits.leaseMs': { value: 9000, from: 'flag' }, mdns: { from: 'default' }, 'http.tokens': { value: ['ada: (secret)'] } } })
  expect(said.out).not.toContain('0123456789abcdef')
})

it('says what to do for a user whom nobody knows a home of', async () => {
  const known = os.homedir
  os.homedir = () => {
    throw Object.assign(new Error('uv_os_homedir returned ENOENT (no such file or directory)'), { code: 'ERR_SYSTEM_ERROR' })
  }
  syncBuiltinESMExports()
  try {
    for (const command of [['nodes'], ['top'], ['config', 'show'], ['invite'], ['start']]) {
      const said = await say(command)
      expect(said, command.join(' ')).toMatchObject({ code: 2, out: '' })
      expect(said.err, command.join(' ')).toBe('skein: there is no home directory to keep data in\n  → say where they are kept: --data FOLDER, or SKEIN_DATA; or set HOME\n')
    }
    expect((await say(['config', 'show', '--json'], { env: { SKEIN_DATA: home } })).code).toBe(0)
    expect((await say(['service', 'install', '--dry-run'])).err).not.toContain('    at ')
  } finally {
    os.homedir = known
    syncBuiltinESMExports()
  }
})
