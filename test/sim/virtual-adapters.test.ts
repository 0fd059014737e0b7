import { describe, expect, it } from 'vitest'
import type { SkillRun, SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { CapabilityName, PeerId, Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { createVirtualEntropy } from '../../sim/entropy-virtual-adapter.ts'
import { createVirtualHardware } from '../../sim/hardware-virtual-adapter.ts'
import { createVirtualIdentity, virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { createScriptedSkillRunner, type ScriptedCourse } from '../../sim/skill-runner-scripted-adapter.ts'
import { createMemoryTelemetry } from '../../sim/telemetry-memory-adapter.ts'
import { createVirtualClock } from '../../sim/virtual-clock.ts'
import { hardwareContract } from '../contracts/hardware.ts'

hardwareContract('the virtual hardware', () => createVirtualHardware({ gpus: [{ vendor: 'nvidia', model: 'H200', vramBytes: 2 ** 37, vramFreeBytes: 2 ** 36 }] }))

const capability = { name: 'text.count' as CapabilityName, version: '1.2', kind: 'leaf', effects: 'none', attributes: {}, summary: '' } as const

function stage(course: ScriptedCourse | (() => ScriptedCourse), speed = 1) {
  const world = createVirtualClock()
  const script = typeof course === 'function' ? course : () => course
  const runner = createScriptedSkillRunner({ clock: world.clockFor('a'), speed, skills: [{ capability, run: script }] })
  const events: [number, SkillRunEvent][] = []
  const run = (change: Partial<SkillRun> = {}): void =>
    runner.start(
      { runId: 'r1', capability: capability.name, version: '1.0', step: 'run', input: { inline: null }, principal: 'local' as Principal, missionId: 'm', taskId: 'root', attempt: 1, timeLimitMs: 60_000, ...change },
      (event) => events.push([world.nowMs(), event]),
    )
  return { world, runner, events, run, kinds: () => events.map(([, event]) => event.type) }
}

describe('the scripted skill runner', () => {
  it('starts, gives pulses and is done, on virtual time', async () => {
    const { world, run, events, kinds } = stage({ afterMs: 2 * limits.pulseMs + 100, output: { lines: 3 } })
    run()
    expect(events).toEqual([])
    await world.runFor(10_000)
    expect(kinds()).toEqual(['started', 'pulse', 'pulse', 'done'])
    expect(events[3]).toEqual([2 * limits.pulseMs + 101, { type: 'done', output: { inline: { lines: 3 } }, stats: { queueMs: 1, transferMs: 0, runMs: 2 * limits.pulseMs + 100, costUsd: 0 } }])
  })

  it('is slower on a slower node', async () => {
    const { world, run, events } = stage({ afterMs: 100 }, 0.5)
    run()
    await world.runFor(1_000)
    expect(events.at(-1)?.[0]).toBe(201)
  })

  it('fails as scripted, by its time limit, and when its script throws', async () => {
    const scripted = stage({ afterMs: 5, fault: fault('bad-output', 'no') })
    scripted.run()
    await scripted.world.runFor(100)
    expect(scripted.events.at(-1)?.[1]).toMatchObject({ type: 'failed', fault: { code: 'bad-output' } })

    const hanging = stage({ afterMs: Infinity, pulses: false })
    hanging.run({ timeLimitMs: 2_000 })
    await hanging.world.runFor(10_000)
    expect(hanging.kinds()).toEqual(['started', 'failed'])
    expect(hanging.events.at(-1)).toMatchObject([2_001, { fault: { code: 'skill-timeout' } }])

    const throwing = stage(() => {
      throw new Error('boom')
    })
    throwing.run()
    await throwing.world.runFor(100)
    expect(throwing.events.at(-1)?.[1]).toMatchObject({ type: 'failed', fault: { code: 'skill-failed', detail: 'boom' } })
    throwing.run({ runId: 'r2', step: 'plan' })
    await throwing.world.runFor(100)
    expect(throwing.events.at(-1)?.[1]).toMatchObject({ type: 'failed', fault: { code: 'skill-failed', retryable: false } })
  })

  it('stops at once with the code given, and then says no more', async () => {
    const { world, run, runner, events } = stage({ afterMs: 10_000 })
    run()
    await world.runFor(100)
    runner.stop('r1', fault('cancelled', 'enough'))
    runner.stop('r1', fault('cancelled', 'again'))
    runner.stop('unknown', fault('cancelled', 'what'))
    expect(runner.running()).toEqual([])
    await world.runFor(20_000)
    expect(events.map(([atMs, event]) => [atMs, event.type])).toEqual([[1, 'started'], [100, 'failed']])
    expect(events[1]?.[1]).toMatchObject({ fault: { code: 'cancelled', detail: 'enough' } })
  })

  it('tells what it can do and when that changes', () => {
    const { runner } = stage({ afterMs: 1 })
    let told = 0
    runner.onCapabilitiesChanged(() => told++)
    expect(runner.capabilities()).toEqual([capability])
    runner.setSkills([{ capability, timeLimitMs: 7, checkInput: (input) => (input === null ? fault('bad-input', 'null') : undefined) }])
    expect(told).toBe(1)
    expect(runner.timeLimitMs('text.count', '1.0')).toBe(7)
    expect(runner.timeLimitMs('other', '1.0')).toBe(limits.skillTimeMsDefault)
    expect(runner.checkInput('text.count', undefined, null)?.code).toBe('bad-input')
    expect(runner.checkInput('text.count', '2.0', null)).toBeUndefined()
  })
})

describe('the virtual identity', () => {
  it('signs so that others can tell, and is the same for the same name', () => {
    const [ada, bob] = [createVirtualIdentity('ada'), createVirtualIdentity('bob')]
    const message = new TextEncoder().encode('hello')
    const signature = ada.sign(message)
    expect(signature).toHaveLength(64)
    expect(bob.verify(ada.peerId, message, signature)).toBe(true)
    expect(bob.verify(bob.peerId, message, signature)).toBe(false)
    expect(bob.verify(ada.peerId, new TextEncoder().encode('hallo'), signature)).toBe(false)
    expect(bob.verify(ada.peerId, message, signature.slice(1))).toBe(false)
    expect(bob.verify('12D3KooWnobody' as PeerId, message, signature)).toBe(false)
    expect(bob.verify(`${ada.peerId.slice(0, -1)}x` as PeerId, message, signature)).toBe(false)
    expect(createVirtualIdentity('ada').peerId).toBe(ada.peerId)
    expect(() => virtualPeerId('not a name')).toThrow('cannot be a virtual node')
  })
})

describe('the small virtual adapters', () => {
  it('draws seeds that differ, the same ones for the same world', () => {
    const draw = () => {
      const entropy = createVirtualEntropy(seededRandom([1, 2]))
      return [entropy.seed(), entropy.seed()]
    }
    const [first, second] = draw()
    expect(first).not.toEqual(second)
    expect(draw()).toEqual([first, second])
  })

  it('shows the hardware that was set', async () => {
    const hardware = createVirtualHardware({ cpu: 0.5 })
    hardware.set({ loopDelayMs: 400 })
    expect(await hardware.sample()).toMatchObject({ cpu: 0.5, loopDelayMs: 400, gpus: [] })
  })

  it('keeps facts, the newest of them when there are too many', () => {
    const telemetry = createMemoryTelemetry(100)
    for (let at = 0; at < 250; at++) telemetry.record({ name: at % 2 === 0 ? 'a.b' : 'c.d', level: 'info', fields: { at } })
    expect(telemetry.facts.length).toBeLessThanOrEqual(100)
    expect(telemetry.facts.length + telemetry.dropped()).toBe(250)
    expect(telemetry.named('c.d').at(-1)?.fields).toEqual({ at: 249 })
  })
})
