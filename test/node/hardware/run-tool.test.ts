import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runTool } from '../../../node/hardware/run-tool.ts'

const folder = mkdtempSync(join(tmpdir(), 'skein-tool-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const patient = { timeoutMs: 60_000, outputBytesMax: 1024 * 1024 }

function tool(name: string, script: string, mode = 0o755): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, mode)
  return path
}

test('returns what a tool printed, in the C locale', async () => {
  expect(await runTool(tool('prints', 'echo "$1 $LC_ALL"; echo noise >&2'), ['hello world'], patient)).toEqual({ kind: 'output', text: 'hello world C\n' })
})

test('a tool that is not there, or may not be executed, is missing', async () => {
  expect(await runTool('skein-no-such-tool', [], patient)).toEqual({ kind: 'missing' })
  expect(await runTool(join(folder, 'nothing'), [], patient)).toEqual({ kind: 'missing' })
  expect(await runTool(tool('plain', 'true', 0o644), [], patient)).toEqual({ kind: 'missing' })
})

test('a failure keeps what was printed', async () => {
  const outcome = await runTool(tool('fails', 'echo partly; echo why >&2; exit 9'), [], patient)
  expect(outcome).toMatchObject({ kind: 'failed', text: 'partly\n\nwhy\n' })
  expect(outcome.kind === 'failed' && outcome.reason).toMatch(/code 9/)
})

test('a tool that hangs, and leaves a child that holds its output open, is given up', async () => {
  const note = join(folder, 'sleeper')
  const outcome = await runTool(tool('hangs', `sleep 60 & echo $! > ${note}; wait`), [], { ...patient, timeoutMs: 300 })
  const sleeper = existsSync(note) ? Number(readFileSync(note, 'utf8')) : 0
  if (sleeper > 0) process.kill(sleeper)
  expect(outcome).toMatchObject({ kind: 'failed' })
  expect(outcome.kind === 'failed' && outcome.reason).toMatch(/no answer within 300 ms/)
})

test('a tool that prints without end is given up', async () => {
  const outcome = await runTool(tool('floods', 'while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done'), [], { ...patient, outputBytesMax: 10_000 })
  expect(outcome.kind === 'failed' && outcome.reason).toMatch(/more than 10000 bytes/)
})

test('an argument that no process can take is a failure, not an exception', async () => {
  expect(await runTool('true', ['a\0b'], patient)).toMatchObject({ kind: 'failed' })
})
