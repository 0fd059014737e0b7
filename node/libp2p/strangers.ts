/**
 * Who knocked without the mesh key. The side that dials learns it from the failed dial; the side that is dialled learns it
 * here, so that both can say why they do not see each other.
 */
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import type { DialFailure } from './dial-failures.ts'

export interface Strangers {
  /** @param remoteAddr the multiaddr that the connection came from. */
  knocked(remoteAddr: string): void
  /** Those of the last minutes, one per machine, in the form of failed dials. */
  list(): readonly DialFailure[]
}

const keptMs = 5 * 60_000
const toldEveryMs = 60_000
const strangersKept = 64

export function createStrangers(telemetry: Telemetry, wallMs: () => number): Strangers {
  const knocks = new Map<string, { attempts: number; atWallMs: number; toldAtWallMs: number }>()
  const reason = 'somebody there connects without this mesh key: a node of another mesh, or no Skein node'
  return {
    knocked(remoteAddr) {
      // The port is another one at every knock; the machine is what can be looked at.
      const machine = remoteAddr.replace(/\/tcp\/.*$/, '')
      const known = knocks.get(machine)
      const nowMs = wallMs()
      const isTold = known !== undefined && nowMs - known.toldAtWallMs < toldEveryMs
      if (!isTold) telemetry.record({ name: 'transport.stranger', level: 'warn', fields: { from: machine, reason } })
      knocks.delete(machine)
      knocks.set(machine, { attempts: (known?.attempts ?? 0) + 1, atWallMs: nowMs, toldAtWallMs: isTold ? known.toldAtWallMs : nowMs })
      const oldest = knocks.keys().next()
      if (knocks.size > strangersKept && !oldest.done) knocks.delete(oldest.value)
    },
    list() {
      const sinceMs = wallMs() - keptMs
      return [...knocks].flatMap(([addr, { attempts, atWallMs }]) => (atWallMs < sinceMs ? [] : [{ addr, kind: 'wrong-mesh-key' as const, reason, atWallMs, attempts }]))
    },
  }
}
