import { describe, expect, it } from 'vitest'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import { linkEndpoint } from '../../../node/models/endpoint-link.ts'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { createVirtualClock } from '../../../sim/virtual-clock.ts'
import { until } from '../../support/until.ts'

/** Nobody listens there: whether it is a mesh is asked of it in vain. */
const url = 'http://127.0.0.1:9/v1'
const down = new MeshError('provider-failed', 'nothing listens at swordfish')

function linked() {
  const clock = createVirtualClock()
  const facts: Fact[] = []
  const did: string[] = []
  let problem: MeshError | undefined
  const attempt = (what: string) => (): Promise<void> => {
    did.push(problem === undefined ? what : `${what} failed`)
    return problem === undefined ? Promise.resolve() : Promise.reject(problem)
  }
  const link = linkEndpoint({
    name: 'e', url, clock: clock.clockFor('n'), telemetry: { record: (fact) => void facts.push(fact) }, redact: (text) => text.replaceAll('swordfish', '***'), renewMs: 60_000,
    open: attempt('open'), renew: attempt('renew'), lost: () => void did.push('lost'),
  })
  return { clock, facts, did, link, breaks: (why: MeshError | undefined) => (problem = why) }
}

describe('an endpoint', () => {
  it('that stops answering is given up, and opened again when it answers', async () => {
    const { clock, facts, did, link, breaks } = linked()
    await link.triedOnce
    expect(did).toEqual(['open'])
    await clock.runFor(60_000)
    expect(did).toEqual(['open', 'renew'])
    breaks(down)
    await clock.runFor(61_000)
    expect(did.slice(2)).toEqual(['renew failed', 'renew failed', 'lost'])
    expect(facts.map(({ name, level }) => `${name} ${level}`)).toEqual(['models.endpoint-ready info', 'models.endpoint-unreachable warn'])
    expect(facts[1]?.fields).toMatchObject({ detail: 'nothing listens at ***' })
    breaks(undefined)
    did.length = 0
    await until(async () => {
      await clock.runFor(1_000)
      return did.includes('open')
    }, { what: 'it to be opened again' })
    expect(facts.at(-1)?.name).toBe('models.endpoint-ready')
    link.close()
  })

  it('that misses one question is not', async () => {
    const { clock, facts, did, link, breaks } = linked()
    await link.triedOnce
    breaks(down)
    await clock.runFor(60_000)
    breaks(undefined)
    await clock.runFor(2_000)
    expect(did).toEqual(['open', 'renew failed', 'renew'])
    expect(facts.map(({ name }) => name)).toEqual(['models.endpoint-ready'])
    link.close()
  })

  it('that refuses its key keeps its models, for that is a matter of single calls', async () => {
    const { clock, did, link, breaks } = linked()
    await link.triedOnce
    breaks(new MeshError('unauthorised', 'no such key'))
    await clock.runFor(20 * 60_000)
    expect(did).not.toContain('lost')
    link.close()
    const before = did.length
    await clock.runFor(60 * 60_000)
    expect(did).toHaveLength(before)
  })
})
