import { describe, expect, it } from 'vitest'
import { erased, type Behaviour } from '../../../actors/runtime/actor.ts'
import type { Effect } from '../../../actors/runtime/effects.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { listening, testSystem, type Heard } from './actor-parts.ts'

describe('actors', () => {
  it('hear one message at a time, in order, the system’s first', async () => {
    const heard: Heard[] = []
    const { clock, system, say } = testSystem()
    system.spawn('one', listening(heard, 'stop'))
    say('one', 'a')
    say('one', 'b')
    say('one', 'urgent', 'system')
    expect(heard).toEqual([])
    await clock.settle()
    expect(heard.map(({ what }) => what)).toEqual(['urgent', 'a', 'b'])
  })

  it('take turns: a busy one does not keep the others waiting', async () => {
    const heard: Heard[] = []
    const { clock, system, say } = testSystem()
    system.spawn('busy', listening(heard, 'stop'))
    system.spawn('calm', listening(heard, 'stop'))
    for (let i = 0; i < 100; i++) say('busy', `${i}`)
    say('calm', 'now')
    await clock.settle()
    expect(heard.findIndex(({ actor }) => actor === 'calm')).toBeLessThan(3)
  })

  it('hear of the end of a turn once, after everything that could be delivered in it', async () => {
    const said: string[] = []
    const { clock, system, say, here, facts } = testSystem()
    const listener = (name: string, react: (what: string) => readonly Effect[] = () => []): Behaviour<null> => ({
      kind: 'turning', supervision: 'stop', start: () => ({ state: null, effects: [] }),
      receive: (_state, { message }) => {
        const what = message.kind === 'tick' ? (message.what ?? '') : message.kind
        said.push(`${name} ${what}`)
        return react(what)
      },
      endTurn: () => {
        said.push(`${name} ends`)
        if (said.length > 100) throw new Error('it was told to')
        return name === 'one' && said.length < 8 ? [{ type: 'tell', to: here('two'), message: { kind: 'tick', what: 'after' } }] : []
      },
    })
    system.spawn('one', erased(listener('one')))
    system.spawn('two', erased(listener('two', (what) => (what === 'b' ? [{ type: 'tell', to: here('one'), message: { kind: 'tick', what: 'c' } }] : []))))
    system.spawn('idle', erased(listener('idle')))
    say('one', 'a')
    say('two', 'b')
    say('one', 'a2')
    await clock.settle()
    expect(said).toEqual(['one a', 'two b', 'one a2', 'one c', 'one ends', 'two ends', 'two after', 'two ends'])
    for (let i = 0; i < 100; i++) say('idle', `${i}`)
    await clock.settle()
    expect(system.exists('idle'), 'one that throws there is supervised like any other').toBe(false)
    expect(facts('actor.failed')).toHaveLength(1)
  })

  it('give the loop a turn after a few hundred messages', async () => {
    const heard: Heard[] = []
    const { clock, system, say, here } = testSystem()
    // It tells itself the next number for ever.
    system.spawn('restless', listening(heard, 'stop', ({ message }) => (heard.length < 5_000 ? [{ type: 'tell', to: here('restless'), message }] : [])))
    let others = 0
    clock.schedule(0, () => (others = heard.length))
    say('restless', 'go')
    await clock.runFor(1)
    expect(heard).toHaveLength(5_000)
    expect(others).toBeGreaterThan(0)
    expect(others).toBeLessThan(2_000)
  })

  it('that do not exist, or whose mailbox is full, make dead letters, counted, the last ones kept', async () => {
    const heard: Heard[] = []
    const { clock, system, say, deadLetters } = testSystem()
    say('nobody', 'hello')
    expect(deadLetters.recent()).toMatchObject([{ number: 1, to: 'nobody', messageKind: 'tick', reason: 'no such actor' }])
    system.spawn('slow', listening(heard, 'stop'))
    for (let i = 0; i < limits.mailboxMessagesMax + 5; i++) say('slow', `${i}`)
    expect(deadLetters.count).toBe(6)
    expect(deadLetters.recent().at(-1)).toMatchObject({ to: 'slow', reason: 'the mailbox is full' })
    for (let i = 0; i < limits.deadLettersKept + 10; i++) say('nobody', 'again')
    expect(deadLetters.recent()).toHaveLength(limits.deadLettersKept)
    expect(deadLetters.count).toBe(6 + limits.deadLettersKept + 10)
    await clock.runFor(10)
    expect(heard).toHaveLength(limits.mailboxMessagesMax)
  })

  it('are spawned once under a name, and end with their parent, with their timers', async () => {
    const heard: Heard[] = []
    const { clock, system, say } = testSystem()
    const leaf = listening(heard, 'stop', () => [], () => [{ type: 'set-timer', key: 'late', delayMs: 50, message: { kind: 'tick', what: 'timer' } }])
    const child = listening(heard, 'stop', () => [], () => [{ type: 'spawn', name: 'leaf', behaviour: leaf }])
    system.spawn('parent', listening(heard, 'stop', () => [{ type: 'stop-self' }, { type: 'spawn', name: 'too-late', behaviour: leaf }, { type: 'set-timer', key: 'x', delayMs: 1, message: { kind: 'tick' } }], () => [{ type: 'spawn', name: 'child', behaviour: child }]))
    system.spawn('parent', leaf)
    expect(['parent', 'child', 'leaf'].every((name) => system.exists(name))).toBe(true)
    expect(system.actorCount).toBe(3)
    say('parent', 'stop')
    await clock.runFor(100)
    expect(system.actorCount).toBe(0)
    expect(heard.map(({ what }) => what)).toEqual(['stop'])
  })

  it('that have ended hear nothing that was still in their mailbox', async () => {
    const heard: Heard[] = []
    const { clock, system, say } = testSystem()
    system.spawn('one', listening(heard, 'stop', () => [{ type: 'stop-self' }]))
    say('one', 'first')
    say('one', 'second')
    await clock.settle()
    expect(heard.map(({ what }) => what)).toEqual(['first'])
  })

  it('an effect that cannot be performed is written down; the others’ turn goes on', async () => {
    const heard: Heard[] = []
    const { clock, system, say, facts } = testSystem((effect) => {
      if (effect.type === 'subscribe') throw new Error('no such topic')
    })
    system.spawn('one', listening(heard, 'stop', () => [{ type: 'subscribe', topic: 'x' }, { type: 'unsubscribe', topic: 'y' }]))
    system.spawn('two', listening(heard, 'stop'))
    say('one', 'go')
    say('two', 'go')
    await clock.settle()
    expect(heard).toHaveLength(2)
    expect(facts('actor.effect-failed')).toMatchObject([{ fields: { actor: 'one', effect: 'subscribe', reason: 'no such topic' } }])
    say('one', 'again')
    await clock.settle()
    expect(heard).toHaveLength(3)
  })

  it('listeners outside hear what is for them until they detach', () => {
    const { system, say, deadLetters } = testSystem()
    const heard: string[] = []
    const detach = system.attach('outside', (message) => heard.push(message.kind))
    say('outside', 'one')
    detach()
    say('outside', 'two')
    expect(heard).toEqual(['tick'])
    expect(deadLetters.count).toBe(1)
  })

  it('nothing is delivered or spawned once the system is down', async () => {
    const heard: Heard[] = []
    const { clock, system, say, deadLetters } = testSystem()
    system.spawn('one', listening(heard, 'stop'))
    say('one', 'before')
    system.shutDown()
    say('one', 'after')
    system.spawn('two', listening(heard, 'stop'))
    await clock.settle()
    expect(heard).toEqual([])
    expect(system.actorCount).toBe(0)
    expect(deadLetters.count).toBe(0)
  })
})

describe('supervision', () => {
  async function afterThrows(supervision: 'resume' | 'restart' | 'stop' | 'escalate', throws: number, apartMs = 0) {
    const heard: Heard[] = []
    const parts = testSystem()
    const states: number[] = []
    const child = listening(heard, supervision, (_delivery, state) => {
      states.push(state.count)
      return []
    })
    parts.system.spawn('parent', listening(heard, 'stop', () => [], () => [{ type: 'spawn', name: 'child', behaviour: child }]))
    parts.say('child', 'first')
    await parts.clock.settle()
    for (let i = 0; i < throws; i++) {
      parts.say('child', 'throw')
      await parts.clock.runFor(apartMs)
    }
    parts.say('child', 'last')
    await parts.clock.settle()
    return { ...parts, heard, states, told: heard.filter(({ kind }) => kind === 'child-failed') }
  }

  it('resume keeps the state and loses the message', async () => {
    const { system, states, facts } = await afterThrows('resume', 1)
    expect(states).toEqual([1, 3])
    expect(system.exists('child')).toBe(true)
    expect(facts('actor.failed')).toMatchObject([{ level: 'error', fields: { actor: 'child', decision: 'resume', on: 'tick', reason: expect.stringContaining('it was told to') } }])
  })

  it('restart begins with a new state', async () => {
    const { states, told } = await afterThrows('restart', 2)
    expect(states).toEqual([1, 1])
    expect(told).toEqual([])
  })

  it('stop ends the actor and tells its parent', async () => {
    const { system, told } = await afterThrows('stop', 1)
    expect(system.exists('child')).toBe(false)
    expect(told).toMatchObject([{ actor: 'parent', what: 'child' }])
  })

  it('escalate makes the parent fail', async () => {
    const { system, facts } = await afterThrows('escalate', 1)
    expect([system.exists('child'), system.exists('parent')]).toEqual([false, false])
    expect(facts('actor.failed').map(({ fields }) => fields.actor)).toEqual(['child', 'parent'])
  })

  it('of the first actor by escalate makes the node give up', async () => {
    const heard: Heard[] = []
    const { clock, system, say, performed } = testSystem()
    const child = listening(heard, 'escalate')
    system.spawn('root', listening(heard, 'escalate', () => [], () => [{ type: 'spawn', name: 'child', behaviour: child }]))
    say('child', 'throw')
    await clock.settle()
    expect(system.actorCount).toBe(0)
    expect(performed.filter(({ type }) => type === 'give-up')).toHaveLength(1)
  })

  for (const strategy of ['resume', 'restart'] as const) {
    it(`${strategy} is allowed ${limits.restartsMax} times within a minute, then the actor is stopped and its parent told`, async () => {
      expect((await afterThrows(strategy, limits.restartsMax)).system.exists('child')).toBe(true)
      const { system, told } = await afterThrows(strategy, limits.restartsMax + 1)
      expect(system.exists('child')).toBe(false)
      expect(told).toHaveLength(1)
      // Spread over a longer time they are no storm.
      expect((await afterThrows(strategy, limits.restartsMax * 3, limits.restartWindowMs / limits.restartsMax + 1)).system.exists('child')).toBe(true)
    })
  }

  it('an actor that cannot even start is not there, and its parent is told', async () => {
    const heard: Heard[] = []
    const { clock, system } = testSystem()
    const broken = listening(heard, 'restart', () => [], () => {
      throw new Error('no start')
    })
    system.spawn('parent', listening(heard, 'stop', () => [], () => [{ type: 'spawn', name: 'broken', behaviour: broken }]))
    await clock.settle()
    expect(system.exists('broken')).toBe(false)
    expect(heard).toMatchObject([{ actor: 'parent', kind: 'child-failed', what: 'broken' }])
  })
})

describe('timers', () => {
  it('fire once; setting one again replaces it; clearing and stopping end them', async () => {
    const { clock, timers } = testSystem()
    const fired: string[] = []
    timers.set('one', 'a', 10, () => fired.push('a1'))
    timers.set('one', 'a', 30, () => fired.push('a2'))
    timers.set('one', 'b', 20, () => fired.push('b'))
    timers.set('one', 'c', 20, () => fired.push('c'))
    timers.clear('one', 'c')
    timers.set('two', 'a', 25, () => fired.push('two'))
    timers.clearAll('two')
    timers.clear('nobody', 'a')
    await clock.runFor(100)
    expect(fired).toEqual(['b', 'a2'])
  })

  it('one that sets itself again from its own firing goes on', async () => {
    const { clock, timers } = testSystem()
    let times = 0
    const again = (): void => timers.set('one', 'beat', 10, () => {
      times += 1
      again()
    })
    again()
    await clock.runFor(105)
    expect(times).toBe(10)
    timers.clear('one', 'beat')
    await clock.runFor(100)
    expect(times).toBe(10)
  })
})
