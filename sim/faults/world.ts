/** What the injector of faults needs of the cluster. */
import type { PeerId } from '../../protocols/kernel/ids.ts'
import type { DurationMs, InstantMs } from '../../protocols/kernel/units.ts'
import type { HistoryRecord } from '../history/history.ts'
import type { VirtualLogDisk } from '../log-store-virtual-adapter.ts'
import type { VirtualNetwork } from '../network/network.ts'
import type { OtherProtocol } from './kinds.ts'

export type FaultNetwork = Pick<VirtualNetwork, 'partition' | 'partitionOneWay' | 'isolate' | 'slowLink' | 'restoreLink' | 'setConditions' | 'conditions' | 'resetAfterSend'>
export type FaultDisk = Pick<VirtualLogDisk, 'rot' | 'failNextSync' | 'setFull' | 'setSyncFactor' | 'setStuck' | 'wipe' | 'snapshot' | 'restore' | 'onNextWrite'>

/** A machine's clock: what is done to it holds over all lives of its node. */
export interface FaultClock {
  /** Only the wall clock jumps. */
  jumpWall(byMs: DurationMs): void
  /** It runs so much faster, as a share, than the drift that it has anyway; 0 is as it was. */
  setDrift(fraction: number): void
}

export interface FaultWorld {
  /** Every node of the scenario, up or not. */
  readonly names: readonly string[]
  readonly network: FaultNetwork
  nowMs(): InstantMs
  /** World time. @returns a function that cancels it. */
  schedule(delayMs: DurationMs, callback: () => void): () => void
  record(record: HistoryRecord): void
  peerOf(name: string): PeerId
  disk(name: string): FaultDisk
  clock(name: string): FaultClock

  /** Those that lead the log of some mission that has not ended, and are up. */
  leaders(): readonly string[]
  /** Whether every log that is still needed has a majority of its voters, with what they had, when this node is lost for good, too. */
  canSpare(name: string): boolean

  /** Its process is there, stopped in its tracks or not. */
  isUp(name: string): boolean
  /** Ends the process at once, also one that is paused or suspended; with `power-cut` its disk loses what it had not synced. Not called when it is down. */
  kill(name: string, how: 'crash' | 'power-cut'): void
  /** Starts it with what its disk has. Not called while it is up. */
  start(name: string): void
  /** The same with another release: one of a higher minor version, whose messages have fields that nobody knows, or one of another major. */
  startOldProtocol(name: string, speaks: OtherProtocol): void
  /** A graceful stop: drains, says goodbye and ends. Not called while it is down, paused or suspended. @param left called when it has ended so, and not when it was killed on the way. */
  leave(name: string, left: () => void): void
  /** The process dies instead of its `effects`-th effect from now on (1 is the next); `Infinity` calls it off. Not called when it is down. */
  crashBetweenEffects(name: string, effects: number): void
  /** SIGSTOP and SIGCONT. `resume` and `wake` are not called when the process has ended meanwhile. */
  pause(name: string): void
  resume(name: string): void
  /** The whole machine sleeps: its monotonic clock stands still as well. Never called while it is paused, nor the other way round. */
  suspend(name: string): void
  wake(name: string): void
}
