/** Keeps trying to reach an endpoint until it says which models it has: one that is down keeps no node from starting, and is there as soon as it is. */
import type { Clock } from '../../actors/ports/clock.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { type Fault, MeshError, toFault } from '../../protocols/kernel/errors.ts'
import type { DurationMs } from '../../protocols/kernel/units.ts'

export interface EndpointLinkInit {
  readonly name: string
  /** Without credentials. */
  readonly url: string
  /** Asks it for its models. @throws MeshError why it could not. */
  readonly open: () => Promise<void>
  /** Asks again, of one that was opened: models come and go. @throws as `open`. */
  readonly renew: () => Promise<void>
  /** It was opened, and does not answer any more: it is opened again when it does. */
  readonly lost: () => void
  readonly renewMs: DurationMs
  readonly clock: Clock
  readonly telemetry?: Telemetry
  readonly redact: (text: string) => string
}

export interface EndpointLink {
  /** Resolves when it was reached, or could not be: the first time only. */
  readonly triedOnce: Promise<void>
  close(): void
}

const retryMsMin: DurationMs = 1_000
const retryMsMax: DurationMs = 30_000
/** What is wrong with the question will not mend itself, but a person may mend it at the other end. */
const refusedAgainMs: DurationMs = 5 * 60_000
/** A server that is busy may miss one question. */
const failuresUntilLost = 2

export function linkEndpoint({ name, url, open, renew, lost, renewMs, clock, telemetry, redact }: EndpointLinkInit): EndpointLink {
  const first = Promise.withResolvers<undefined>()
  let failures = 0
  let isOpen = false
  let isClosed = false
  let cancel: (() => void) | undefined
  let said = ''

  async function attempt(): Promise<void> {
    try {
      if (!isOpen) await refuseSkein(name, url)
      if (isClosed) return
      await (isOpen ? renew() : open())
      if (!isOpen) telemetry?.record({ name: 'models.endpoint-ready', level: 'info', fields: { endpoint: name, url } })
      isOpen = true
      failures = 0
      said = ''
      again(renewMs)
    } catch (thrown) {
      const why = toFault(thrown, 'provider-failed')
      failures += 1
      if (isOpen && failures >= failuresUntilLost && why.code === 'provider-failed' && why.retryable && !isClosed) {
        isOpen = false
        lost()
      }
      if (!isOpen) say(why)
      again(why.retryable ? Math.max(why.retryAfterMs ?? 0, Math.min(retryMsMax, retryMsMin * 2 ** (failures - 1))) : refusedAgainMs)
    } finally {
      first.resolve(undefined)
    }
  }

  function again(afterMs: DurationMs): void {
    if (!isClosed) cancel = clock.schedule(afterMs, () => void attempt())
  }

  /** Once for each reason, not once for each time. */
  function say({ code, detail, next }: Fault): void {
    if (isClosed || said === code) return
    said = code
    telemetry?.record({ name: 'models.endpoint-unreachable', level: 'warn', fields: { endpoint: name, url, code, detail: redact(detail), next: next === undefined ? undefined : redact(next) } })
  }

  void attempt()
  return {
    triedOnce: first.promise,
    close() {
      isClosed = true
      cancel?.()
    },
  }
}

const skeinPatienceMs = 3_000

/**
 * A node that asked its own mesh for models would offer the mesh what it has from the mesh, in a circle.
 * @throws MeshError `bad-request` when a bridge of a mesh answers there.
 */
async function refuseSkein(name: string, url: string): Promise<void> {
  let health: unknown
  try {
    const answer = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(skeinPatienceMs), redirect: 'error' })
    health = answer.ok ? await answer.json() : undefined
  } catch {
    return
  }
  if (typeof health !== 'object' || health === null || Object.keys(health).sort().join() !== 'ok,version') return
  throw new MeshError('bad-request', `the endpoint ${name} (${url}) is a bridge of a Skein mesh, which has its models already`, { next: 'unset OPENAI_BASE_URL where you start nodes, or name the endpoint behind that mesh' })
}
