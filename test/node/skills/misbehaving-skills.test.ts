import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fault } from '../../../protocols/kernel/errors.ts'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import { loadSkill } from '../../../node/skills/loader.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { createThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import type { ThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import { expectDone, expectFailed, follow, skillRun } from '../../contracts/skill-runner.ts'
import { isAlive, until } from './conditions.ts'

const MiB = 1024 * 1024
const blobs = createMemoryBlobs()
const facts: Fact[] = []
let runner: ThreadSkillRunner

beforeAll(async () => {
  process.env.SKEIN_SECRET_FOR_TEST = 'hush'
  process.env.SKEIN_SKILL_FOR_TEST = 'may be seen'
  const folder = fileURLToPath(new URL('./fixtures', import.meta.url))
  runner = createThreadSkillRunner({ skills: [await loadSkill('./misbehaving.skill.ts', folder)], blobs, pulseMs: 20, telemetry: { record: (fact) => facts.push(fact) } })
})
afterAll(async () => {
  await runner.close()
  delete process.env.SKEIN_SECRET_FOR_TEST
  delete process.env.SKEIN_SKILL_FOR_TEST
})

async function failure(name: string, overrides: Parameters<typeof skillRun>[2] = {}) {
  return expectFailed(await follow(runner, skillRun(`bad.${name}`, {}, overrides)).ended)
}

async function output(name: string, overrides: Parameters<typeof skillRun>[2] = {}) {
  const done = expectDone(await follow(runner, skillRun(`bad.${name}`, {}, overrides)).ended)
  if ('blob' in done.output) throw new Error('expected an inline output')
  return done.output.inline as Record<string, unknown>
}

describe('a skill that loops forever', () => {
  it('gives no pulse once it loops, and is stopped', async () => {
    const run = skillRun('bad.loop', {})
    const { events, ended } = follow(runner, run)
    // Pulses come while the module is imported, and end when its thread is taken.
    let seen = -1
    await until(() => {
      const quiet = events.length > 0 && events.length === seen
      seen = events.length
      return quiet
    }, 300)
    runner.stop(run.runId, fault('skill-silent', 'no sign of life'))
    expect(expectFailed(await ended).fault.code).toBe('skill-silent')
  })

  it('is ended by its time limit', async () => {
    const { fault: why, stats } = await failure('loop', { timeLimitMs: 100 })
    expect(why).toMatchObject({ code: 'skill-timeout', retryable: true })
    expect(stats.runMs).toBeGreaterThanOrEqual(90)
  })

  it('can say from inside a synchronous loop that it is alive', async () => {
    const run = skillRun('bad.busy', {})
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const { ended } = follow(runner, run, (event) => {
      if (event.type === 'pulse' && event.text === 'still at it') resolve(undefined)
    })
    await promise
    runner.stop(run.runId, fault('cancelled', 'seen enough'))
    expect(expectFailed(await ended).fault.code).toBe('cancelled')
  })
})

describe('a skill that eats memory', () => {
  it.each(['heap', 'buffers'])('on the %s ends with skill-out-of-memory and leaves the node alive', async (where) => {
    const { fault: why, stats } = await failure(where)
    expect(why).toMatchObject({ code: 'skill-out-of-memory', retryable: true })
    expect(why.detail).toContain('64 MiB')
    expect(stats.memoryBytesMax).toBeGreaterThan(64 * MiB)
  })
})

describe('a skill that ends badly', () => {
  it('by process.exit ends only its thread', async () => {
    expect((await failure('exit')).fault).toMatchObject({ code: 'skill-exited', retryable: true })
  })

  it.each([['reject-later', 'nobody caught this'], ['throw-later', 'thrown from a timer'], ['throw-text', 'just a text']])('%s fails with its message', async (name, message) => {
    const { fault: why } = await failure(name)
    expect(why.code).toBe('skill-failed')
    expect(why.detail).toContain(message)
  })

  it('with a MeshError keeps its code and its retryability, but may not speak for the mesh', async () => {
    expect((await failure('throw-final')).fault).toEqual(fault('skill-failed', 'no retry can help', { retryable: false, next: 'give up' }))
    expect((await failure('throw-mesh-code')).fault.code).toBe('skill-failed')
  })

  it.each([['wrong-output', 'count'], ['date', 'at.0 is a Date'], ['cycle', 'refers to itself'], ['nothing', 'undefined']])('%s is a bad-output that says where', async (name, where) => {
    const { fault: why } = await failure(name)
    expect(why.code).toBe('bad-output')
    expect(why.detail).toContain(where)
  })

  it('with a malformed plan is a bad-plan', async () => {
    expect((await failure('plan', { step: 'plan' })).fault.code).toBe('bad-plan')
    expect((await failure('plan')).fault.code).toBe('wrong-state')
  })
})

describe('what a skill leaves behind', () => {
  it('is not seen by the next run: a thread with a live timer is not used again', async () => {
    await output('leave-timer')
    expect(await output('look')).toMatchObject({ leftBehind: false })
  })

  it('a process it started ends with it', async () => {
    const run = skillRun('bad.spawn', {})
    const { promise, resolve } = Promise.withResolvers<number>()
    const { ended } = follow(runner, run, (event) => {
      if (event.type === 'pulse' && event.text !== undefined) resolve(Number(event.text))
    })
    const pid = await promise
    expect(await isAlive(pid)).toBe(true)
    runner.stop(run.runId, fault('cancelled', 'enough'))
    await ended
    await until(async () => !(await isAlive(pid)))
  })

  it('a folder of its own is removed', async () => {
    const { folder, again } = await output('folder')
    expect(again).toBe(folder)
    await until(() => !existsSync(String(folder)))
  })
})

describe('what a skill can see', () => {
  it('is not the node\'s environment', async () => {
    expect(await output('look')).toMatchObject({ secret: null, passed: 'may be seen' })
  })

  it('is who it works for, with one key for every attempt', async () => {
    const first = await output('about')
    const second = await output('about', { attempt: 2 })
    expect(first).toEqual({ missionId: 'm-aaaaaaaa-bbbbbbbbbbbb', taskId: 'root/x', attempt: 1, principal: 'local', idempotencyKey: 'm-aaaaaaaa-bbbbbbbbbbbb:root/x' })
    expect(second.idempotencyKey).toBe(first.idempotencyKey)
  })

  it('blobs: writes them, reads them back, hears of absent ones', async () => {
    const { ref, back } = await output('blobs')
    expect(back).toBe('a blob of text')
    expect(ref).toMatchObject({ sizeBytes: 14, name: 'text.txt', mediaType: 'text/plain' })
    expect((await failure('absent-blob')).fault.code).toBe('unknown-blob')
  })
})

it('what a skill prints reaches the log, with its task', async () => {
  await output('print')
  const printed = (text: string) => facts.some((fact) => fact.name === 'skill.output' && String(fact.fields.text).includes(text) && fact.fields.task === 'root/x')
  await until(() => printed('printed a line') && printed('complained'))
})

it('close ends what runs and takes nothing more', async () => {
  const folder = fileURLToPath(new URL('./fixtures', import.meta.url))
  const other = createThreadSkillRunner({ skills: [await loadSkill('./misbehaving.skill.ts', folder)], blobs, pulseMs: 20 })
  const { ended } = follow(other, skillRun('bad.loop', {}))
  await other.close()
  expect(expectFailed(await ended).fault.code).toBe('cancelled')
  expect(expectFailed(await follow(other, skillRun('bad.look', {})).ended).fault.code).toBe('cancelled')
})
