/**
 * What every SkillRunner must do. The runner under test offers these skills:
 *
 * | capability | does |
 * |---|---|
 * | `contract.echo` 1.0 | input `{ value: string }` → the same |
 * | `contract.throw` 1.0 | throws an error that says "thrown on purpose" |
 * | `contract.wait` 1.0 | runs until it is stopped, and pulses |
 * | `contract.big` 1.0 | → a text of 100,000 characters |
 * | `contract.steps` 1.0 | input `{ steps, failAfter?, padding? }`: publishes `{ fraction, padding? }` after every step (a text of `padding` characters), goes on from the one it is given, throws after step `failAfter`, else `{ did }`: the steps it took itself |
 * | `contract.split` 1.0 | composite: input `{ parts: number }`, plans that many `contract.echo` tasks `p0`, `p1`, …; synthesises `{ states: string[] }` |
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fault } from '../../protocols/kernel/errors.ts'
import type { Digest, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { BlobRef, Json } from '../../protocols/kernel/payload.ts'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import type { SkillRun, SkillRunEvent, SkillRunner } from '../../actors/ports/skill-runner.ts'

export interface SkillRunnerSetup {
  readonly runner: SkillRunner
  readonly blobs: BlobStore
  close(): Promise<void>
}

type EndEvent = Extract<SkillRunEvent, { type: 'done' | 'failed' }>

let runs = 0

/** A run with everything filled in. */
export function skillRun(capability: string, input: Json, overrides: Partial<SkillRun> = {}): SkillRun {
  const runId = `run-${++runs}`
  return {
    runId, capability, version: '1.0', step: 'run', input: { inline: input }, principal: 'local' as Principal,
    missionId: 'm-aaaaaaaa-bbbbbbbbbbbb', taskId: 'root/x', attempt: 1, timeLimitMs: 60_000, ...overrides,
  }
}

/** Starts a run. `events` grows; `ended` resolves with the last event. `onEvent` sees each as it comes. */
export function follow(runner: SkillRunner, run: SkillRun, onEvent: (event: SkillRunEvent) => void = () => undefined): { events: SkillRunEvent[]; ended: Promise<EndEvent> } {
  const events: SkillRunEvent[] = []
  const { promise, resolve } = Promise.withResolvers<EndEvent>()
  runner.start(run, (event) => {
    events.push(event)
    onEvent(event)
    if (event.type === 'done' || event.type === 'failed') resolve(event)
  })
  return { events, ended: promise }
}

export function expectDone(event: EndEvent): Extract<SkillRunEvent, { type: 'done' }> {
  if (event.type === 'failed') throw new Error(`expected a result, got ${event.fault.code}: ${event.fault.detail}`)
  return event
}

export function expectFailed(event: EndEvent): Extract<SkillRunEvent, { type: 'failed' }> {
  if (event.type === 'done') throw new Error(`expected a failure, got ${JSON.stringify(event.output).slice(0, 200)}`)
  return event
}

export function skillRunnerContract(name: string, setup: () => Promise<SkillRunnerSetup>): void {
  describe(`skill runner: ${name}`, () => {
    let under: SkillRunnerSetup
    beforeAll(async () => {
      under = await setup()
    })
    afterAll(() => under.close())

    it('says what it can do', () => {
      const found = under.runner.capabilities().map(({ name: capability, version, kind }) => `${capability}@${version} ${kind}`)
      expect(found).toEqual(expect.arrayContaining(['contract.echo@1.0 leaf', 'contract.split@1.0 composite']))
      expect(under.runner.timeLimitMs('contract.echo', '1.0')).toBeGreaterThan(0)
    })

    it('starts once, then gives exactly one result with its stats', async () => {
      const { events, ended } = follow(under.runner, skillRun('contract.echo', { value: 'geese' }))
      const done = expectDone(await ended)
      expect(done.output).toEqual({ inline: { value: 'geese' } })
      expect(done.stats.runMs).toBeGreaterThanOrEqual(0)
      expect(events.filter(({ type }) => type === 'started')).toHaveLength(1)
      expect(events.find(({ type }) => type !== 'pulse')?.type).toBe('started')
      expect(events.at(-1)).toBe(done)
    })

    it('takes its input from a blob', async () => {
      const ref = await under.blobs.put(new TextEncoder().encode('{"value":"from a blob"}'))
      const { ended } = follow(under.runner, skillRun('contract.echo', null, { input: { blob: ref } }))
      expect(expectDone(await ended).output).toEqual({ inline: { value: 'from a blob' } })
    })

    it('fails with unknown-blob when the input cannot be had', async () => {
      const blob: BlobRef = { $blob: '0'.repeat(64) as Digest, sizeBytes: 5 }
      const { ended } = follow(under.runner, skillRun('contract.echo', null, { input: { blob } }))
      expect(expectFailed(await ended).fault.code).toBe('unknown-blob')
    })

    it('puts a big output into a blob', async () => {
      const { ended } = follow(under.runner, skillRun('contract.big', {}))
      const { output } = expectDone(await ended)
      if (!('blob' in output)) throw new Error('expected a blob')
      expect(output.blob.sizeBytes).toBeGreaterThan(limits.payloadInlineBytesMax)
      const bytes = await under.blobs.get(output.blob.$blob)
      expect(JSON.parse(new TextDecoder().decode(bytes))).toHaveLength(100_000)
    })

    it('reports what a skill throws', async () => {
      const { ended } = follow(under.runner, skillRun('contract.throw', {}))
      const { fault: why } = expectFailed(await ended)
      expect(why).toMatchObject({ code: 'skill-failed', retryable: true })
      expect(why.detail).toContain('thrown on purpose')
    })

    it('refuses an input that does not fit, before and while running', async () => {
      expect(under.runner.checkInput('contract.echo', '1.0', { value: 'fits' })).toBeUndefined()
      expect(under.runner.checkInput('contract.echo', undefined, { value: 7 })?.code).toBe('bad-input')
      expect(under.runner.checkInput('contract.absent', '1.0', 7)).toBeUndefined()
      const { ended } = follow(under.runner, skillRun('contract.echo', { value: 7 }))
      expect(expectFailed(await ended).fault).toMatchObject({ code: 'bad-input', retryable: false })
    })

    it('fails a capability it does not have', async () => {
      const { ended } = follow(under.runner, skillRun('contract.absent', {}))
      expect(expectFailed(await ended).fault.code).toBe('unknown-capability')
    })

    it('stops a run with the reason given, and says nothing after it', async () => {
      const run = skillRun('contract.wait', {})
      let pulsed = (): void => undefined
      const pulse = new Promise<void>((resolve) => {
        pulsed = resolve
      })
      const { events, ended } = follow(under.runner, run, (event) => {
        if (event.type === 'pulse') pulsed()
      })
      await pulse
      under.runner.stop(run.runId, fault('cancelled', 'no longer wanted'))
      expect(expectFailed(await ended).fault).toEqual(fault('cancelled', 'no longer wanted'))
      under.runner.stop(run.runId, fault('cancelled', 'again'))
      expect(expectDone(await follow(under.runner, skillRun('contract.echo', { value: 'after' })).ended).output).toEqual({ inline: { value: 'after' } })
      expect(events.filter(({ type }) => type === 'failed' || type === 'done')).toHaveLength(1)
    })

    it('has no effect when an unknown run is stopped', () => {
      expect(() => under.runner.stop('no-such-run', fault('cancelled', 'nothing'))).not.toThrow()
    })

    it('ends a run at its time limit', async () => {
      const { ended } = follow(under.runner, skillRun('contract.wait', {}, { timeLimitMs: 300 }))
      expect(expectFailed(await ended).fault.code).toBe('skill-timeout')
    })

    it('publishes checkpoints on its way, and before a failure the newest', async () => {
      const { events, ended } = follow(under.runner, skillRun('contract.steps', { steps: 8, failAfter: 6 }))
      expect(expectFailed(await ended).fault.detail).toContain('thrown half way')
      const published = events.flatMap((event) => (event.type === 'checkpoint' ? [event.value] : []))
      expect(published[0]).toEqual({ inline: { fraction: 1 / 8 } })
      expect(published.at(-1)).toEqual({ inline: { fraction: 6 / 8 } })
      expect(new Set(published.map((value) => JSON.stringify(value))).size, 'each once').toBe(published.length)
      expect(events.find(({ type }) => type !== 'pulse')?.type).toBe('started')
      expect(events.at(-1)?.type).toBe('failed')
    })

    it('goes on from the checkpoint it is given, inline or in a blob; one that cannot be had is as good as none', async () => {
      const did = async (checkpoint?: SkillRun['checkpoint']) => expectDone(await follow(under.runner, skillRun('contract.steps', { steps: 8 }, { attempt: 2, ...(checkpoint === undefined ? {} : { checkpoint }) })).ended).output
      const stored = await under.blobs.put(new TextEncoder().encode('{"fraction":0.25}'))
      expect(await did()).toEqual({ inline: { did: 8 } })
      expect(await did({ inline: { fraction: 0.75 } })).toEqual({ inline: { did: 2 } })
      expect(await did({ blob: stored })).toEqual({ inline: { did: 6 } })
      expect(await did({ blob: { $blob: '0'.repeat(64) as Digest, sizeBytes: 5 } })).toEqual({ inline: { did: 8 } })
    })

    it('puts a big checkpoint into a blob that is here by the time it is told', async () => {
      const { events, ended } = follow(under.runner, skillRun('contract.steps', { steps: 2, failAfter: 1, padding: 100_000 }))
      expectFailed(await ended)
      const value = events.flatMap((event) => (event.type === 'checkpoint' ? [event.value] : [])).at(-1)
      if (value === undefined || !('blob' in value)) throw new Error('expected a blob')
      expect(value.blob.sizeBytes).toBeGreaterThan(limits.payloadInlineBytesMax)
      expect(JSON.parse(new TextDecoder().decode(await under.blobs.get(value.blob.$blob)))).toEqual({ fraction: 0.5, padding: 'x'.repeat(100_000) })
      const resumed = follow(under.runner, skillRun('contract.steps', { steps: 2 }, { checkpoint: value }))
      expect(expectDone(await resumed.ended).output).toEqual({ inline: { did: 1 } })
    })

    it('plans and synthesises', async () => {
      const plan = expectDone(await follow(under.runner, skillRun('contract.split', { parts: 2 }, { step: 'plan', planLimits: { leavesLeft: 30, depthLeft: 3 } })).ended)
      expect(plan.output).toMatchObject({ inline: { tasks: { p0: { capability: 'contract.echo' }, p1: { capability: 'contract.echo' } } } })
      const stored = await under.blobs.put(new TextEncoder().encode('{"value":"p0"}'))
      const synthesis = follow(under.runner, skillRun('contract.split', { parts: 2 }, {
        step: 'synthesise',
        children: [
          { name: 'p0', capability: 'contract.echo', state: 'accepted', output: { blob: stored } },
          { name: 'p1', capability: 'contract.echo', state: 'dead', fault: fault('skill-failed', 'broke') },
        ],
      }))
      expect(expectDone(await synthesis.ended).output).toEqual({ inline: { states: ['p0 accepted {"value":"p0"}', 'p1 dead broke'] } })
    })

    it('runs several at once', async () => {
      const all = await Promise.all(['a', 'b', 'c'].map((value) => follow(under.runner, skillRun('contract.echo', { value })).ended))
      expect(all.map((event) => expectDone(event).output)).toEqual(['a', 'b', 'c'].map((value) => ({ inline: { value } })))
    })
  })
}
