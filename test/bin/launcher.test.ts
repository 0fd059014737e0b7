/** The launcher, tried on a pretended old Node: a copy of bin/ whose idea of the oldest good Node is above any. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const bin = join(import.meta.dirname, '../../bin')
const commandLine = `
export async function main(argv) {
  if (argv[0] === 'version') { console.log(JSON.stringify(argv)); return 0 }
  if (argv[0] === 'pour' || argv[0] === 'start') {
    console.log('first')
    // Until nobody reads: then a command ends, and a node says so and goes on.
    let broken = false
    process.stdout.on('error', () => { broken = true })
    while (!broken) { console.log('more'.repeat(1000)); await new Promise((done) => setTimeout(done, 1)) }
    console.error('went on')
    return 7
  }
  if (argv[0] === 'code') return Number(argv[1])
  if (argv[0] === 'abort') { process.kill(process.pid, 'SIGKILL'); return await new Promise(() => {}) }
  const beat = setInterval(() => {}, 1000)
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { console.log('got ' + signal); clearInterval(beat); process.exit(signal === 'SIGINT' ? 41 : 42) })
  console.log('ready ' + process.pid)
  return await new Promise(() => {})
}
`

interface Run {
  readonly child: ChildProcess
  printed(): string
  /** Resolves with the text once it was printed, rejects when the process ended before. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

let folder: string

/** A package like the published one, around the real bin/. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-bin-'))
  cpSync(bin, join(folder, 'bin'), { recursive: true })
  mkdirSync(join(folder, 'dist'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'dist/skein.js'), commandLine)
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** Makes this copy believe that the running Node is too old, unless the launcher has already relaunched it. */
function pretendOldNode(): void {
  const path = join(folder, 'bin/relaunch.js')
  const source = readFileSync(path, 'utf8')
  const pretended = source.replace('return parseInt(process.versions.node, 10) >= majorMin', 'return process.env.SKEIN_LAUNCHER === String(process.ppid)')
  expect(pretended).not.toBe(source)
  writeFileSync(path, pretended)
}

/** Puts a Node 24 where the npm package `node` puts its own. */
function installNode(version: string): void {
  const home = join(folder, 'node_modules/node')
  mkdirSync(join(home, 'bin'), { recursive: true })
  symlinkSync(process.execPath, join(home, 'bin/node'))
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: 'node', version }))
}

function skein(...argv: string[]): Run {
  return skeinIn(process.env, ...argv)
}

function skeinIn(env: NodeJS.ProcessEnv, ...argv: string[]): Run {
  const child = spawn(process.execPath, [join(folder, 'bin/skein.js'), ...argv], { stdio: ['ignore', 'pipe', 'pipe'], env })
  let text = ''
  const waiting = new Set<() => void>()
  const add = (chunk: Buffer): void => {
    text += chunk.toString()
    for (const look of waiting) look()
  }
  child.stdout.on('data', add)
  child.stderr.on('data', add)
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ code, signal })
    })
  })
  return {
    child,
    ended,
    printed: () => text,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(text)
          if (match === null) return
          waiting.delete(look)
          resolve(match)
        }
        waiting.add(look)
        look()
        void ended.then(() => {
          reject(new Error(`ended without ${String(pattern)}: ${text}`))
        })
      }),
  }
}

describe('bin/skein.js', () => {
  test('runs the command line with its arguments and exit code', async () => {
    const run = skein('version', '--json', 'a b')
    expect(await run.ended).toEqual({ code: 0, signal: null })
    expect(run.printed()).toBe('["version","--json","a b"]\n')
    expect((await skein('code', '3').ended).code).toBe(3)
  })

  test('compiles once: what was compiled is kept among the user’s caches, or where NODE_COMPILE_CACHE says, and is not needed', async () => {
    const env = { PATH: process.env['PATH'], HOME: join(folder, 'home') }
    const kept = (path: string): number => (existsSync(path) ? readdirSync(path, { recursive: true, withFileTypes: true }).filter((file) => file.isFile()).length : 0)
    for (const [changed, path] of [[{}, 'home/.cache/skein/compiled'], [{ XDG_CACHE_HOME: join(folder, 'caches') }, 'caches/skein/compiled'], [{ NODE_COMPILE_CACHE: join(folder, 'elsewhere') }, 'elsewhere']] as const) {
      expect((await skeinIn({ ...env, ...changed }, 'version').ended).code).toBe(0)
      expect(kept(join(folder, path)), path).toBeGreaterThan(0)
    }
    writeFileSync(join(folder, 'no-folder'), '')
    const without = skeinIn({ ...env, HOME: join(folder, 'no-folder') }, 'version')
    expect((await without.ended).code).toBe(0)
    expect(without.printed()).toBe('["version"]\n')
  })

  test('needs no home: without one, and nobody to ask for it, nothing is kept', async () => {
    // Such a user is made by running a container under any number; here the question fails as it does then.
    const homeless = join(folder, 'homeless.mjs')
    writeFileSync(homeless, `
      import { syncBuiltinESMExports } from 'node:module'
      import os from 'node:os'
      os.homedir = () => { throw Object.assign(new Error('uv_os_homedir returned ENOENT (no such file or directory)'), { code: 'ERR_SYSTEM_ERROR' }) }
      syncBuiltinESMExports()
    `)
    const run = skeinIn({ PATH: process.env['PATH'], NODE_OPTIONS: `--import=${pathToFileURL(homeless).href}` }, 'version')
    expect((await run.ended).code).toBe(0)
    expect(run.printed()).toBe('["version"]\n')
  })

  test('says what to do when Node is too old and there is no other', async () => {
    pretendOldNode()
    const run = skein('version')
    expect((await run.ended).code).toBe(2)
    expect(run.printed()).toMatch(/^skein needs Node 24 or newer; this is Node \S+\.\nInstall it from .*\n$/)
  })

  test('does not take an old Node for a new one', async () => {
    pretendOldNode()
    installNode('22.1.0')
    expect((await skein('version').ended).code).toBe(2)
  })

  test('relaunches itself under the installed Node 24: arguments, exit code', async () => {
    pretendOldNode()
    installNode('24.1.0')
    const run = skein('version', 'x')
    expect((await run.ended).code).toBe(0)
    expect(run.printed()).toBe('["version","x"]\n')
    expect((await skein('code', '4').ended).code).toBe(4)
  })

  test('ends by the signal that ended the relaunched process', async () => {
    pretendOldNode()
    installNode('24.1.0')
    expect(await skein('abort').ended).toEqual({ code: null, signal: 'SIGKILL' })
  })

  test.each([['SIGINT', 41], ['SIGTERM', 42]] as const)('passes %s on, once', async (signal, code) => {
    pretendOldNode()
    installNode('24.1.0')
    const run = skein('wait')
    await run.until(/ready \d+\n/)
    run.child.kill(signal)
    expect((await run.ended).code).toBe(code)
    expect(run.printed().match(/got/g)).toHaveLength(1)
  })

  test('leaves no process behind when it is killed', async () => {
    pretendOldNode()
    installNode('24.1.0')
    const run = skein('wait')
    const pid = Number((await run.until(/ready (\d+)\n/))[1])
    expect(pid).not.toBe(run.child.pid)
    run.child.kill('SIGKILL')
    // The relaunched process holds the pipes too: they close when it has gone.
    await run.ended
    expect(run.printed()).toContain('got SIGTERM')
  })
})

describe('a reader that goes away', () => {
  async function pour(command: string): Promise<{ code: number | null; said: string }> {
    const child = spawn(process.execPath, [join(folder, 'bin/skein.js'), command], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.stdout.once('data', () => child.stdout.destroy())
    const code = await new Promise<number | null>((done) => child.once('close', done))
    return { code, said }
  }

  test('ends a command without a word', async () => {
    expect(await pour('pour')).toEqual({ code: 0, said: '' })
  })

  test('does not end a node', async () => {
    expect(await pour('start')).toEqual({ code: 7, said: 'went on\n' })
  })
})
