/** A run's course in buckets of time, for charts. A run whose end is not known yet gets wider buckets as it goes on. */
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { Bucket } from '../report.ts'

/** What happened since the start. */
export interface Flows {
  submitted: number
  completed: number
  failed: number
  messages: number
  bytes: number
  faults: number
}

/** How things stand. */
export interface Levels {
  running: number
  waiting: number
  slotsBusy: number
  slotsUp: number
  nodesUp: number
}

export interface BucketsInit {
  /** How long work arrives: about 100 buckets of it. */
  readonly durationMs: DurationMs
  readonly flows: () => Readonly<Flows>
  readonly levels: () => Readonly<Levels>
}

export interface Buckets {
  /** Closes the buckets that ended by now. To be called before what happens now is counted. */
  reach(nowMs: InstantMs): void
  /** All buckets, the last one up to the run's end. */
  close(endMs: InstantMs): Bucket[]
}

const aimed = 100
const bucketsMax = 200

export function createBuckets(init: BucketsInit): Buckets {
  let widthMs = niceWidthMs(init.durationMs / aimed)
  let buckets: Bucket[] = []
  let startMs = 0
  let before: Flows = { submitted: 0, completed: 0, failed: 0, messages: 0, bytes: 0, faults: 0 }

  function end(): void {
    const flows = { ...init.flows() }
    buckets.push({
      atMs: startMs, ...init.levels(),
      submitted: flows.submitted - before.submitted, completed: flows.completed - before.completed, failed: flows.failed - before.failed,
      messages: flows.messages - before.messages, bytes: flows.bytes - before.bytes, faults: flows.faults - before.faults,
    })
    before = flows
    startMs += widthMs
    if (buckets.length < bucketsMax) return
    buckets = inPairs(buckets)
    widthMs *= 2
  }

  return {
    reach(nowMs) {
      while (nowMs >= startMs + widthMs) end()
    },
    close(endMs) {
      while (endMs > startMs) end()
      return buckets
    },
  }
}

function inPairs(buckets: readonly Bucket[]): Bucket[] {
  return buckets.flatMap((first, at) => {
    const second = buckets[at + 1]
    if (at % 2 === 1 || second === undefined) return []
    return [{
      ...second, atMs: first.atMs,
      submitted: first.submitted + second.submitted, completed: first.completed + second.completed, failed: first.failed + second.failed,
      messages: first.messages + second.messages, bytes: first.bytes + second.bytes, faults: first.faults + second.faults,
    }]
  })
}

/** The next of 1, 2, 5, 10, 20, 50, … milliseconds. */
function niceWidthMs(atLeastMs: number): DurationMs {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, atLeastMs))))
  return [1, 2, 5, 10].map((step) => step * power).find((width) => width >= atLeastMs * 0.999) ?? power * 10
}
