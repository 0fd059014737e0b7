import type { LevelDatastore } from 'datastore-level'
import { expect, it } from 'vitest'
import type { Fact } from '../../../actors/ports/telemetry.ts'
import { hintsDatastore } from '../../../node/libp2p/hints-datastore.ts'

/** A store whose writes end when the test says so. */
function slowStore() {
  const written: string[] = []
  const waiting: (() => void)[] = []
  const facts: Fact[] = []
  let failure: Error | undefined
  const write = (what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push(() => {
        if (failure !== undefined) return reject(failure)
        written.push(what)
        resolve()
      })
    })
  const store = { put: (key: string) => write(`put ${key}`), delete: (key: string) => write(`delete ${key}`), batch: () => ({ put: () => undefined, delete: () => undefined, commit: () => write('batch') }) }
  return {
    written, facts, hints: hintsDatastore(store as unknown as LevelDatastore, { record: (fact) => void facts.push(fact) }),
    go: () => waiting.splice(0).forEach((end) => end()),
    break: () => void (failure = new Error('no space left')),
  }
}

const key = (name: string) => name as unknown as Parameters<LevelDatastore['delete']>[0]

it('is closed when what is being written is written; what comes later is not, and nobody is told', async () => {
  const { hints, written, facts, go } = slowStore()
  const order: string[] = []
  const { datastore } = hints
  void Promise.resolve(datastore.put(key('one'), Uint8Array.of(1))).then(() => order.push('put'))
  void Promise.resolve(datastore.batch().commit()).then(() => order.push('batch'))
  const closed = hints.close().then(() => order.push('closed'))
  await datastore.put(key('late'), Uint8Array.of(2))
  await datastore.delete(key('late'))
  expect([order, written]).toEqual([[], []])
  go()
  await closed
  expect([order, written]).toEqual([['put', 'batch', 'closed'], ['put one', 'batch']])
  expect(facts).toEqual([])
})

it('tells once that a disk keeps nothing, and neither rejects nor stays open for it', async () => {
  const { hints, facts, go, break: fail } = slowStore()
  fail()
  const writes = [hints.datastore.put(key('one'), Uint8Array.of(1)), hints.datastore.delete(key('two'))]
  const closed = hints.close()
  go()
  await Promise.all([...writes, closed])
  expect(facts).toMatchObject([{ name: 'libp2p.hints-not-kept', level: 'warn', fields: { detail: 'no space left' } }])
})
