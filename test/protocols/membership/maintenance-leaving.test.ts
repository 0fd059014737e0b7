import { describe, expect, it } from 'vitest'
import { drawn, members, names, World } from './maintained-log.ts'

describe('leaving', () => {
  function three(...replicas: string[]): World {
    return new World({ voters: members('a', 'b', 'c') }, ['a', 'b', 'c', ...replicas])
  }

  it('one of three goes at once and is not replaced: it may only be restarted', () => {
    const world = three('d')
    world.leaving.add('c')
    expect(world.waits('c')).toBe(false)
    world.kill('c', 5_000)
    expect(world.settle()).toEqual([])
  })

  it('away for longer than that, it is replaced', () => {
    const world = three('d')
    world.leaving.add('c')
    world.kill('c', 40_000)
    world.left.add('c')
    expect(world.settle()).toEqual(['a b c|d', 'a b c>a b d', 'a b d'])
  })

  it('the second of three waits until a spare votes', () => {
    const world = three('d')
    world.leaving.add('c')
    world.kill('c', 5_000)
    world.leaving.add('b')
    expect(world.waits('b')).toBe(true)
    world.step()
    world.step()
    expect(drawn(world.current)).toBe('a b c>a b d')
    expect(world.waits('b'), 'until then two of the old ones must agree').toBe(true)
    world.step()
    expect(drawn(world.current)).toBe('a b d')
    expect(world.waits('b')).toBe(false)
  })

  it('two at once wait both, and with two spares are replaced both', () => {
    const world = three('d', 'e')
    for (const name of ['b', 'c']) world.leaving.add(name)
    expect(['b', 'c'].map((name) => world.waits(name))).toEqual([true, true])
    expect(world.settle().at(-1)).toBe('a d e')
  })

  it('the leader is replaced last, when too few would stay', () => {
    const world = three('d', 'e')
    for (const name of ['a', 'b', 'c']) world.leaving.add(name)
    expect(world.waits('a')).toBe(true)
    world.settle()
    expect(world.current.voters.filter(({ peer }) => world.leaving.has(names.get(peer) ?? '')), drawn(world.current)).toHaveLength(1)
    expect(['a', 'b', 'c'].filter((name) => world.waits(name))).toEqual([])
  })

  it('without a spare nothing changes, and nobody waits', () => {
    const world = three()
    for (const name of ['b', 'c']) world.leaving.add(name)
    expect(world.waits('b')).toBe(false)
    for (const name of ['b', 'c']) world.left.add(name)
    expect(world.settle()).toEqual([])
  })

  it('nor when the spares leave, too', () => {
    const world = three('d', 'e')
    for (const name of ['a', 'b', 'c', 'd', 'e']) world.leaving.add(name)
    expect(['a', 'b', 'c'].filter((name) => world.waits(name))).toEqual([])
    expect(world.settle()).toEqual([])
  })

  it('nor when too few are there to change anything', () => {
    const world = three('d')
    world.kill('a', 1_000)
    world.kill('b', 1_000)
    world.leaving.add('c')
    expect(world.waits('c')).toBe(false)
  })

  it('five stay five when some of them are only away', () => {
    const world = new World({ voters: members('a', 'b', 'c', 'd', 'e') }, ['a', 'b', 'c', 'd', 'e'])
    world.aimed = 5
    world.leaving.add('e')
    world.left.add('e')
    world.kill('e')
    expect(world.settle()).toEqual([])
  })

  it('one that learns goes on when it is back: it has not been forgotten', () => {
    const world = new World({ voters: members('a'), learners: members('b') }, ['a', 'b'])
    world.leaving.add('b')
    world.kill('b', 5_000)
    expect(world.settle()).toEqual([])
  })
})
