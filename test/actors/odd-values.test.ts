import { describe, expect, it } from 'vitest'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { createVirtualMesh } from '../../sim/virtual-mesh.ts'
import { capability, ended, result, submit } from './virtual-missions.ts'

/** Gives its input back. */
const echo: ScriptedSkill = { capability: capability('value.echo'), run: (run) => ({ afterMs: 10, output: 'inline' in run.input ? run.input.inline : null }) }

async function twoNodes(seed: number) {
  const world = createVirtualMesh(seed)
  const a = await world.start({ name: 'a', skills: [echo] })
  await world.start({ name: 'b', skills: [echo] })
  await world.clock.runFor(2_000)
  return { world, a }
}

function nested(levels: number, innermost: Json): Json {
  let value = innermost
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

describe('values that are hard to carry', () => {
  it('half an emoji, keys of JavaScript itself and empty names go through a whole mission', async () => {
    const { world, a } = await twoNodes(1)
    const input = JSON.parse('{"half":"\\ud83e","__proto__":{"x":1},"":"","constructor":"c","10":1,"9":2,"nested":[[],{}]}') as Json
    const { id } = await submit(world, a, { capability: 'value.echo', input })
    expect((await ended(world, a, id)).state).toBe('completed')
    expect(JSON.stringify((await result(world, a, id)).result)).toContain('"constructor":"c"')
  })

  it('the deepest input that is allowed goes through', async () => {
    const { world, a } = await twoNodes(2)
    const { id } = await submit(world, a, { capability: 'value.echo', input: nested(limits.jsonDepthMax, 'core') })
    expect((await ended(world, a, id)).state).toBe('completed')
    expect((await result(world, a, id)).result).toEqual(nested(limits.jsonDepthMax, 'core'))
  })

  it('one that grows too deep by its references ends with a clear error', async () => {
    const { world, a } = await twoNodes(3)
    const { id } = await submit(world, a, {
      plan: { tasks: { first: { capability: 'value.echo', input: nested(150, 'core') }, second: { capability: 'value.echo', input: nested(150, { $from: 'first' }) } }, result: { $from: 'second' } },
    })
    const over = await ended(world, a, id)
    expect(over.state).toBe('failed')
    expect(over.fault).toMatchObject({ code: 'bad-output', detail: expect.stringContaining('nested') })
  })
})
