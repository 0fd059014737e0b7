/** A process that dies between two effects: everything that its actors do to the world counts down to its end. */
import type { MeshNodePorts } from '../actors/mesh-node.ts'

export interface CrashTrap {
  readonly ports: MeshNodePorts
  /** The process ends instead of its `effects`-th effect from now on; 1 is the next. */
  arm(effects: number): void
}

/** @param sprung called in the middle of a turn, to end the process after it: the effect that it ended at is not performed, nor are those after it. */
export function withCrashTrap(ports: MeshNodePorts, sprung: () => void): CrashTrap {
  let left = Infinity

  function survives(): boolean {
    left -= 1
    if (left > 0) return true
    if (left === 0) sprung()
    return false
  }

  const { clock, transport, gossip, logStore, skillRunner } = ports
  return {
    arm(effects) {
      left = effects
    },
    ports: {
      ...ports,
      clock: { ...clock, monotonicMs: () => clock.monotonicMs(), wallMs: () => clock.wallMs(), schedule: (delayMs, callback) => (survives() ? clock.schedule(delayMs, callback) : () => undefined), soon: (callback) => clock.soon(callback) },
      transport: {
        ...transport,
        send(peer, envelope) {
          if (survives()) transport.send(peer, envelope)
        },
      },
      gossip: {
        ...gossip,
        publish(topic, envelope) {
          if (survives()) gossip.publish(topic, envelope)
        },
      },
      // Nobody waits for the answer any more.
      logStore: { ...logStore, write: (batch) => (survives() ? logStore.write(batch) : new Promise(() => undefined)) },
      skillRunner: {
        ...skillRunner,
        start(run, listener) {
          if (survives()) skillRunner.start(run, listener)
        },
      },
    },
  }
}
