/** What a skill in a real thread asks of the mesh: calls of other capabilities, and that a checkpoint is in the log. */
import { fileURLToPath } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SkillCall, SkillCallEvent, SkillRun, SkillRunEvent } from '../../../actors/ports/skill-runner.ts'
import type { CapabilityView } from '../../../protocols/capability/views.ts'
import { fault } from '../../../protocols/kernel/errors.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import type { Json, Payload } from '../../../protocols/kernel/payload.ts'
import { defineSkill, type LeafSkillSpec } from '../../../node/skills/define-skill.ts'
import { loadSkill } from '../../../node/skills/loader.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { runSkillAlone } from '../../../node/skills/run-skill-alone.ts'
import type { SkillMesh } from '../../../node/skills/skill-mesh.ts'
import { createThreadSkillRunner } from '../../../node/skills/skill-runner-thread-adapter.ts'
import { createThreadContext } from '../../../node/skills/thread-context.ts'
import { expectDone, expectFailed, follow, skillRun } from '../../contracts/skill-runner.ts'
import { z } from 'zod'

const blobs = createMemoryBlobs()
const by = { peer: 'p' as PeerId, name: 'gpu' }
const stats = { queueMs: 0, transferMs: 0, runMs: 1, costUsd: 0.25 }
let runner: ReturnType<typeof createThreadSkillRunner>
let mesh: SkillMesh | undefined

beforeAll(async () => {
  runner = createThreadSkillRunner({ skills: [await loadSkill('./calls.skill.ts', fileURLToPath(new URL('./fixtures', import.meta.url)))], blobs, pulseMs: 20, mesh: () => mesh })
})
afterAll(() => runner.close())

type Calling = (call: SkillCall, callNumber: number, answer: (event: SkillCallEvent) => void) => void

/** Runs it, its calls answered by `onCall`. */
function start(capability: string, input: Json, onCall: Calling = () => undefined, given: Partial<SkillRun> = {}) {
  const run = skillRun(capability, input, given)
  return { run, ...follow(runner, run, (event) => {
    if (event.type === 'call') onCall(event.call, event.callNumber, (answer) => runner.answerCall(run.runId, event.callNumber, answer))
  }) }
}

async function outputOf({ ended }: { ended: Promise<Extract<SkillRunEvent, { type: 'done' | 'failed' }>> }): Promise<Json> {
  const { output } = expectDone(await ended)
  return 'inline' in output ? output.inline : (JSON.parse(new TextDecoder().decode(await blobs.get(output.blob.$blob))) as Json)
}

const done = (output: Json): SkillCallEvent => ({ type: 'done', output: { inline: output }, by, stats })

describe('a call', () => {
  it('is handed on with what was asked, and brings the output, who did it and what it has cost', async () => {
    const calls: SkillCall[] = []
    const one = start('calls.one', { of: 'number.double', input: { value: 4 }, options: { version: '1.2', attributes: { fast: true }, timeLimitMs: 5_000, key: 'k' } }, (call, _, answer) => {
      calls.push(call)
      answer(done(8))
    })
    expect(await outputOf(one)).toEqual({ result: { output: 8, by: { peer: 'p', name: 'gpu' }, costUsd: 0.25 } })
    expect(calls).toEqual([{ capability: 'number.double', input: { inline: { value: 4 } }, version: '1.2', attributes: { fast: true }, timeLimitMs: 5_000, key: 'k', streams: false }])
  })

  it('that fails throws its fault, with what to do next', async () => {
    const one = start('calls.one', { of: 'llm.chat', input: {} }, (_call, _number, answer) => answer({ type: 'failed', fault: fault('no-provider', 'no model', { next: 'start one' }), stats }))
    expect(await outputOf(one)).toEqual({ failed: { code: 'no-provider', detail: 'no model', next: 'start one' } })
  })

  it('of a model says how much there is to do and how it begins, and asks for the model that its input names, however large that is', async () => {
    const calls: SkillCall[] = []
    const input = { model: 'm', maxTokens: 5, messages: [{ role: 'user', content: 'x'.repeat(100_000) }] }
    await outputOf(start('calls.one', { of: 'llm.chat', input }, (call, _, answer) => {
      calls.push(call)
      answer(done('hi'))
    }))
    expect(calls).toMatchObject([{ input: { blob: { sizeBytes: JSON.stringify(input).length } }, attributes: { model: 'm' }, units: { input: 25_012, output: 5 }, prefixes: [expect.stringMatching(/^[0-9a-f]{16}$/)] }])
  })

  it('is streamed: every piece, in order, before it ends', async () => {
    const pieces = Array.from({ length: 50 }, (_, i) => ({ content: String(i) }))
    const one = start('calls.stream', {}, (call, _, answer) => {
      expect(call.streams).toBe(true)
      for (const value of pieces) answer({ type: 'chunk', value })
      answer(done('all'))
    })
    expect(await outputOf(one)).toEqual({ chunks: pieces, ended: { result: { output: 'all', by: { peer: 'p', name: 'gpu' }, costUsd: 0.25 } } })
  })

  it('is cancelled by its signal; a signal that has been given begins none', async () => {
    const one = start('calls.cancel', {}, (_call, _number, answer) => answer({ type: 'chunk', value: 1 }))
    expect(await outputOf(one)).toEqual({ ended: { failed: { code: 'cancelled', detail: 'the call of slow.one was cancelled' } }, never: 'AbortError' })
    expect(one.events.filter(({ type }) => type === 'call' || type === 'call-cancelled').map(({ type }) => type)).toEqual(['call', 'call-cancelled'])
  })

  it('has an answer of its own, however many there are and in whatever order they come', async () => {
    const waiting: (() => void)[] = []
    const one = start('calls.many', { count: 200 }, ({ input }, _, answer) => {
      const { value } = (input as { inline: { value: number } }).inline
      waiting.push(() => answer(done(2 * value)))
      if (waiting.length === 200) for (const say of waiting.reverse()) say()
    })
    expect(await outputOf(one)).toEqual(Array.from({ length: 200 }, (_, value) => 2 * value))
  })

  it('is named after what it asks for: the same in an attempt that begins further on, and never that of another', async () => {
    const keysOf = async (values: number[]): Promise<string[]> => {
      const keys: string[] = []
      await outputOf(start('calls.these', { values }, ({ key }, _, answer) => {
        keys.push(key)
        answer(done(null))
      }))
      return keys
    }
    const whole = await keysOf([1, 2, 2, 3])
    expect(new Set(whole).size).toBe(4)
    expect(await keysOf([3])).toEqual(whole.slice(3))
    expect(await keysOf([2, 3])).toEqual([whole[1], whole[3]])
  })

  it.each([
    ['version', '1', /version: is not a version/], ['attributes', { model: 'x'.repeat(300) }, /attributes\.model: /], ['timeLimitMs', -1, /timeLimitMs: /], ['timeLimitMs', 'soon', /timeLimitMs: /], ['key', 'k'.repeat(600), /key: /], ['key', '', /key: /],
  ])('with a %s that cannot travel is refused before it is made: %#', async (option, value, detail) => {
    const calls: SkillCall[] = []
    const one = start('calls.one', { of: 'number.double', input: {}, options: { [option]: value } as Json }, (call, _, answer) => {
      calls.push(call)
      answer(done(null))
    })
    expect(await outputOf(one)).toEqual({ failed: { code: 'bad-input', detail: expect.stringMatching(detail) as string, next: 'correct the options of the call' } })
    expect(calls).toEqual([])
  })

  it('takes inputs and outputs through blobs when they are large', async () => {
    const inputs: Payload[] = []
    const one = start('calls.big', { characters: 300_000 }, ({ input }, _, answer) => {
      inputs.push(input)
      if ('inline' in input) throw new Error('it was to be a blob')
      void blobs.get(input.blob.$blob).then(async (bytes) => {
        const { text } = JSON.parse(new TextDecoder().decode(bytes)) as { text: string }
        answer({ type: 'done', output: { blob: await blobs.put(new TextEncoder().encode(JSON.stringify(text + text)), { mediaType: 'application/json' }) }, by, stats })
      })
    })
    expect(await outputOf(one)).toBe(600_000)
    expect(inputs).toMatchObject([{ blob: { sizeBytes: 600_000 + '{"text":""}'.length } }])
  })

  it('whose output nobody has any more fails with a word about it', async () => {
    const one = start('calls.one', { of: 'text.twice', input: {} }, (_call, _number, answer) => answer({ type: 'done', output: { blob: { $blob: 'f'.repeat(64) as never, sizeBytes: 9 } }, by, stats }))
    expect(await outputOf(one)).toMatchObject({ failed: { code: 'unknown-blob' } })
  })

  it('that nobody waits for does not hold its run up, and its late answer harms nothing', async () => {
    const late: (() => void)[] = []
    const one = start('calls.unfinished', {}, (_call, _number, answer) => late.push(() => answer(done('late'))))
    expect(await outputOf(one)).toBe('did not wait')
    for (const say of late) say()
    runner.answerCall('no-such-run', 1, done('lost'))
    expect(await outputOf(start('calls.many', { count: 0 }))).toEqual([])
  })

  it('that is not answered ends with its run’s time', async () => {
    const one = start('calls.one', { of: 'slow.one', input: {} }, undefined, { timeLimitMs: 200 })
    expect(expectFailed(await one.ended).fault.code).toBe('skill-timeout')
  })

  it('after the run is over is refused', async () => {
    const { port1, port2 } = new MessageChannel()
    const posted: unknown[] = []
    port2.on('message', (message) => posted.push(message))
    const thread = createThreadContext({ port: port1, runId: 'r', about: { missionId: 'm', taskId: 't', attempt: 1, principal: 'local' }, folder: '/nowhere', resumed: undefined })
    const open = thread.context.call('slow.one', {})
    thread.end('done')
    await expect(open).rejects.toMatchObject({ fault: { code: 'cancelled', detail: 'the run is over' } })
    await expect(thread.context.call('slow.one', {})).rejects.toMatchObject({ fault: { code: 'cancelled' } })
    await expect(thread.context.capabilities()).rejects.toMatchObject({ fault: { code: 'cancelled' } })
    await expect(thread.context.checkpoint(1, { committed: true })).rejects.toMatchObject({ fault: { code: 'cancelled' } })
    port1.close()
  })
})

describe('the mesh, asked by a skill', () => {
  it('says what it offers, and what the input of one looks like', async () => {
    const offer = (attributes: Record<string, string>) => ({ attributes })
    const view = { name: 'number.double', version: '1.0', kind: 'leaf', effects: 'none', summary: 'doubles', providers: [{ peerId: 'p', offers: [offer({ model: 'a' }), offer({ model: 'b' })] }, { peerId: 'q', offers: [offer({ model: 'a' })] }] } as unknown as CapabilityView
    mesh = { capabilities: () => Promise.resolve([view]), inputSchema: (capability, version) => Promise.resolve(capability === 'number.double' && version === '1.0' ? { type: 'object' } : undefined) }
    expect(await outputOf(start('calls.mesh', {}))).toEqual({
      capabilities: [{ name: 'number.double', version: '1.0', kind: 'leaf', effects: 'none', summary: 'doubles', attributes: [{ model: 'a' }, { model: 'b' }], providers: 2 }], known: { type: 'object' }, unknown: null,
    })
    mesh = undefined
  })

  it('that is not there is a clear refusal', async () => {
    expect(await outputOf(start('calls.mesh-alone', {}))).toMatchObject({ failed: { code: 'not-available', next: expect.stringContaining('skein run') as string } })
  })
})

describe('a checkpoint that is to be committed', () => {
  const numbersIn = (events: readonly SkillRunEvent[]) => events.flatMap((event) => (event.type === 'checkpoint' ? [event.number] : []))

  it('is waited for until the log has it, one after the other, and none is thinned out', async () => {
    const run = skillRun('calls.commit', { steps: 3 })
    const committed: Json[] = []
    const one = follow(runner, run, (event) => {
      if (event.type !== 'checkpoint' || event.number === undefined) return
      committed.push((event.value as { inline: Json }).inline)
      const { number } = event
      // A pulse comes in between: it really waits.
      const pulses = one.events.length
      const timer = setInterval(() => {
        if (one.events.length <= pulses) return
        clearInterval(timer)
        expect(committed.at(-1), 'it goes on only then').toBe(committed.length)
        runner.checkpointCommitted(run.runId, number)
      }, 5)
    })
    expect(await outputOf(one)).toEqual({ did: [1, 2, 3] })
    expect(committed).toEqual([1, 2, 3])
  })

  it('is not resolved by the word about an earlier one', async () => {
    const run = skillRun('calls.commit', { steps: 2 })
    const first: number[] = []
    const one = follow(runner, run, (event) => {
      if (event.type !== 'checkpoint' || event.number === undefined) return
      first.push(event.number)
      if (first.length === 1) runner.checkpointCommitted(run.runId, event.number)
      else {
        runner.checkpointCommitted(run.runId, event.number - 1)
        runner.stop(run.runId, fault('cancelled', 'enough'))
      }
    })
    expect(expectFailed(await one.ended).fault.code).toBe('cancelled')
    expect(first).toHaveLength(2)
  })

  it('throws when it never will be in the log: another has the task', async () => {
    const run = skillRun('calls.commit', { steps: 3 })
    const one = follow(runner, run, (event) => {
      if (event.type === 'checkpoint' && event.number !== undefined) runner.checkpointCommitted(run.runId, event.number, fault('fenced', 'another has the task'))
    })
    expect(await outputOf(one)).toEqual({ did: [1], committed: { failed: { code: 'fenced', detail: 'another has the task' } } })
    expect(numbersIn(one.events)).toHaveLength(1)
  })

  it('is where the next attempt goes on', async () => {
    const run = skillRun('calls.commit', { steps: 3 }, { checkpoint: { inline: 2 }, attempt: 2 })
    const one = follow(runner, run, (event) => {
      if (event.type === 'checkpoint' && event.number !== undefined) runner.checkpointCommitted(run.runId, event.number)
    })
    expect(await outputOf(one)).toEqual({ did: [3] })
  })
})

describe('a composite skill', () => {
  const revise = (round: number, capability = 'calls.composite') => start(capability, {}, undefined, { step: 'revise', round, children: [{ name: 'first', capability: 'number.double', state: 'accepted', output: { inline: 2 } }] })

  it('is asked what to add to its plan, with its children and the round', async () => {
    expect(await outputOf(revise(1))).toMatchObject({ tasks: { second: { capability: 'number.double', input: { value: 1 } } } })
    expect(await outputOf(revise(2))).toBeNull()
  })

  it('that answers no plan has failed', async () => {
    expect(expectFailed(await revise(3).ended).fault).toMatchObject({ code: 'bad-plan' })
  })
})

describe('slots', () => {
  const spec: LeafSkillSpec<z.ZodUnknown, z.ZodUnknown> = { capability: 'number.double', version: '1.0', summary: '', input: z.unknown(), output: z.unknown(), effects: 'none', run: () => 1 }

  it('of a skill are said with what its node offers', () => {
    expect(runner.capabilities().find(({ name }) => name === 'calls.composite')?.slots).toBe(7)
    expect(runner.capabilities().find(({ name }) => name === 'calls.one')?.slots).toBeUndefined()
  })

  it('are a positive whole number, or left out', () => {
    expect(defineSkill({ ...spec, slots: 3 }).slots).toBe(3)
    expect(defineSkill(spec).slots).toBeUndefined()
    for (const slots of [0, -1, 1.5, Infinity, Number.NaN, '3' as never]) expect(() => defineSkill({ ...spec, slots }), String(slots)).toThrow(expect.objectContaining({ fault: expect.objectContaining({ code: 'bad-request', detail: expect.stringContaining('slots') as string, next: expect.stringContaining('positive whole number') as string }) as unknown }))
  })
})

describe('a skill that is tried alone', () => {
  const alone = (capability: string, input: Json) => runSkillAlone({ skill: './calls.skill.ts', from: fileURLToPath(new URL('./fixtures', import.meta.url)), capability, input })

  it('hears at once that there is nobody to call', async () => {
    expect(await alone('calls.one', { of: 'number.double', input: {} })).toMatchObject({ state: 'done', output: { failed: { code: 'not-available', detail: expect.stringContaining('number.double') as string, next: expect.stringContaining('skein run calls.one') as string } } })
  })

  it('waits for no log', async () => {
    expect(await alone('calls.commit', { steps: 3 })).toMatchObject({ state: 'done', output: { did: [1, 2, 3] } })
  })
})
