import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hexToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { fault } from '../../../protocols/kernel/errors.ts'
import { seededRandom } from '../../../protocols/kernel/prng.ts'
import { chainOf, chainOrigin, extend, logOrigin, positionOf, verifyLog } from '../../../protocols/replicated-log/chain.ts'
import { LogEntry, type LogPosition } from '../../../protocols/replicated-log/schema.ts'
import { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { decodeValue, encodeValue } from '../../../protocols/wire.ts'
import { sampleEvents } from '../../../scripts/wire-samples.ts'

const epoch = { lineage: 1, term: 3 }
const events = Object.values(sampleEvents)
const origin = logOrigin

function headOf(entries: readonly LogEntry[]): LogPosition {
  const last = entries.at(-1)
  return last === undefined ? logOrigin : positionOf(last)
}

function verify(entries: readonly LogEntry[], head: LogPosition) {
  return verifyLog(sampleEvents.submitted.missionId, entries, logOrigin, head)
}

/** To disk and back, as a store that checks the schema and one that keeps what it read. */
const readBack: Readonly<Record<string, (entry: LogEntry) => LogEntry>> = {
  'as it was decoded': (entry) => decodeValue(encodeValue(entry)) as LogEntry,
  'through the schema': (entry) => LogEntry.parse(decodeValue(encodeValue(entry))),
  'as JSON': (entry) => LogEntry.parse(JSON.parse(JSON.stringify(entry))),
}

describe('a log read back verifies', () => {
  it('has an example of every event type', () => {
    expect(MissionEvent.options.map((option) => option.shape.type.value as string).sort()).toEqual(Object.keys(sampleEvents).sort())
  })

  for (const [how, back] of Object.entries(readBack)) {
    it.each(events.map((event) => [event.type, event] as const))(`with %s, ${how}`, (_type, event) => {
      const [entry] = extend(origin, epoch, [event]) as [LogEntry]
      const read = back(entry)
      expect(read).toEqual(entry)
      expect(chainOf(chainOrigin, 1, read.epoch, read.event)).toBe(entry.chain)
      expect(verify([read], headOf([entry]))).toBeUndefined()
    })

    it(`with all of them, ${how}`, () => {
      const entries = extend(origin, epoch, events)
      expect(verify(entries.map(back), headOf(entries))).toBeUndefined()
    })
  }

  it('with optional fields that were set to undefined', () => {
    const loose = { ...sampleEvents.changed, priority: undefined, limits: undefined } as unknown as MissionEvent
    const entries = extend(origin, epoch, [loose, { ...sampleEvents.failed, fault: { ...sampleEvents.failed.fault, next: undefined } } as unknown as MissionEvent])
    for (const back of Object.values(readBack)) expect(verify(entries.map(back), headOf(entries))).toBeUndefined()
  })

  it('with a text that was cut in the middle of an emoji', () => {
    for (const padding of [0, 1, 20, 3_999]) {
      const problem = fault('skill-failed', `${'é'.repeat(padding)}🪿🪿`.slice(0, padding + 1))
      const entries = extend(origin, epoch, [{ type: 'dead', atWallMs: 1, taskId: sampleEvents.dead.taskId, fault: problem }, { ...sampleEvents.accepted, result: { inline: { ['k\ud83e']: ['\udebf tail', { x: 'head \ud83e' }] } } }])
      for (const [how, back] of Object.entries(readBack)) expect(verify(entries.map(back), headOf(entries)), how).toBeUndefined()
    }
  })

  it('with a key that JavaScript keeps for itself', () => {
    const inline = JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3,"":4,"10":5,"9":6}') as never
    const entries = extend(origin, epoch, [{ ...sampleEvents.accepted, result: { inline } }])
    for (const [how, back] of Object.entries(readBack)) expect(verify(entries.map(back), headOf(entries)), how).toBeUndefined()
  })

  it('with any JSON as a result', () => {
    const random = seededRandom([1, 9])
    const any = (depth: number): unknown => {
      const kind = random.below(depth > 4 ? 6 : 8)
      if (kind === 0) return null
      if (kind === 1) return random.below(2) === 0
      if (kind === 2) return [random.below(300) - 150, random.next() * 1e9, -random.next(), 2 ** random.below(60), -(2 ** random.below(60)), 1 / (1 + random.below(1_000)), -0, 5e-324][random.below(8)]
      if (kind <= 5) return Array.from({ length: random.below(80) }, () => String.fromCharCode(random.below(4) === 0 ? random.below(0x10000) : 32 + random.below(90))).join('')
      const entries = Array.from({ length: random.below(6) }, (_, i) => [`${random.text(random.below(4))}${i}`, any(depth + 1)] as const)
      return kind === 6 ? entries.map(([, value]) => value) : Object.fromEntries(entries)
    }
    const results = Array.from({ length: 300 }, (): MissionEvent => ({ ...sampleEvents.accepted, result: { inline: any(0) as never } }))
    const entries = extend(origin, epoch, results)
    for (const [how, back] of Object.entries(readBack)) expect(verify(entries.map(back), headOf(entries)), how).toBeUndefined()
  })

  it('with the fields of a newer minor release, when they are kept', () => {
    const newer = extend(origin, epoch, [{ ...sampleEvents.paused, because: 'tired' } as MissionEvent])
    expect(verify(newer.map((entry) => decodeValue(encodeValue(entry)) as LogEntry), headOf(newer))).toBeUndefined()
  })

  it('written by every earlier release', () => {
    const golden = join(import.meta.dirname, '../golden')
    const logs = readdirSync(golden).filter((name) => name.startsWith('log-'))
    expect(logs.length).toBeGreaterThan(0)
    for (const name of logs) {
      const entries = (JSON.parse(readFileSync(join(golden, name), 'utf8')) as string[]).map((hex) => LogEntry.parse(decodeValue(hexToBytes(hex))))
      expect(verify(entries, headOf(entries)), name).toBeUndefined()
    }
  })
})

describe('extending', () => {
  it('numbers on from the head and chains each entry to the one before', () => {
    const first = extend(origin, epoch, events.slice(0, 3))
    const head = first.at(-1) as LogEntry
    const second = extend(head, epoch, events.slice(3))
    expect([...first, ...second].map(({ index }) => index)).toEqual(events.map((_, i) => i + 1))
    expect([...first, ...second]).toEqual(extend(origin, epoch, events))
    expect(extend(head, epoch, [])).toEqual([])
  })

  it('gives every place, epoch and content a chain of its own', () => {
    const chains = [
      chainOf(chainOrigin, 1, epoch, sampleEvents.paused),
      chainOf(chainOrigin, 2, epoch, sampleEvents.paused),
      chainOf(chainOrigin, 1, { lineage: 1, term: 4 }, sampleEvents.paused),
      chainOf(chainOrigin, 1, { lineage: 2, term: 3 }, sampleEvents.paused),
      chainOf(chainOrigin.replace(/.$/, '1'), 1, epoch, sampleEvents.paused),
      chainOf(chainOrigin, 1, epoch, sampleEvents.resumed),
      chainOf(chainOrigin, 1, epoch, { ...sampleEvents.paused, atWallMs: sampleEvents.paused.atWallMs + 1 }),
    ]
    expect(new Set(chains).size).toBe(chains.length)
  })
})

describe('damage is found', () => {
  const entries = extend(origin, epoch, events)
  const head = headOf(entries)
  const last = entries.length - 1

  it('when an entry is missing in the middle', () => {
    for (let lost = 0; lost < last; lost++) expect(verify(entries.toSpliced(lost, 1), head)).toMatchObject({ code: 'storage-failed', retryable: false, detail: expect.stringContaining(`entry ${lost + 1} is missing or altered`) })
  })

  it('when the tail is cut', () => {
    for (let kept = 0; kept < entries.length; kept++) {
      const missing = verify(entries.slice(0, kept), head)
      expect(missing?.detail).toContain(`entries ${kept + 1} to ${entries.length} are missing`)
      expect(missing?.detail).toContain(sampleEvents.submitted.missionId)
      expect(missing?.next).toBeDefined()
    }
  })

  it('when an entry was altered, in its event, epoch, index or chain', () => {
    for (const [i, entry] of entries.entries()) {
      const altered: LogEntry[] = [
        { ...entry, event: { ...entry.event, atWallMs: entry.event.atWallMs + 1 } },
        { ...entry, epoch: { ...entry.epoch, term: entry.epoch.term + 1 } },
        { ...entry, index: entry.index + 1 },
        { ...entry, chain: chainOrigin },
      ]
      for (const wrong of altered) expect(verify(entries.with(i, wrong), head), `entry ${i + 1}`).toBeDefined()
    }
  })

  it('when an altered entry was chained anew: the next one tells', () => {
    const forged = { ...(entries[1] as LogEntry), event: sampleEvents.resumed }
    const rechained = { ...forged, chain: chainOf((entries[0] as LogEntry).chain, 2, epoch, forged.event) }
    expect(verify(entries.with(1, rechained), head)?.detail).toContain('entry 3')
  })

  it('when the last entry was altered and chained anew: the watermark tells', () => {
    const chain = chainOf((entries[last - 1] as LogEntry).chain, last + 1, epoch, sampleEvents.completed)
    expect(verify(entries.with(last, { index: last + 1, epoch, event: sampleEvents.completed, chain }), head)).toBeDefined()
  })

  it('when two entries changed places, or one is there twice', () => {
    expect(verify([...entries.slice(0, 2), entries[3], entries[2], ...entries.slice(4)] as LogEntry[], head)?.detail).toContain('entry 3')
    expect(verify([...entries.slice(0, 3), entries[2], ...entries.slice(3)] as LogEntry[], head)?.detail).toContain('entry 4')
  })

  it('but what lies above the watermark is no damage: it was written and not yet told', () => {
    expect(verify(entries, headOf(entries.slice(0, 5)))).toBeUndefined()
  })

  it('in what follows a snapshot, as in what follows the beginning', () => {
    const [group, at] = [sampleEvents.submitted.missionId, positionOf(entries[3] as LogEntry)]
    const tail = entries.slice(4)
    expect(verifyLog(group, tail, at, head)).toBeUndefined()
    expect(verifyLog(group, [], at, at)).toBeUndefined()
    expect(verifyLog(group, tail, at, at)).toBeUndefined()
    expect(verifyLog(group, tail.slice(1), at, head)?.detail).toContain('entry 5')
    expect(verifyLog(group, tail, { ...at, chain: chainOrigin }, head)?.detail).toContain('entry 5')
    expect(verifyLog(group, [], at, head)?.detail).toContain(`entries 5 to ${entries.length}`)
    expect(verifyLog(group, [], at, { ...at, chain: chainOrigin })?.detail).toContain('entry 4')
    expect(verifyLog(group, tail, at, positionOf(entries[1] as LogEntry))?.detail).toContain('snapshot')
  })
})
