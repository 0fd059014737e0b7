/**
 * What every protocol room is made of: a synchronous state machine.
 *
 * `step` owns its state: it may change it in place and returns it with the outputs of this one input.
 * Outputs are values (messages to send, records to persist, timers to set). A machine never reads a clock,
 * never awaits and never draws randomness of its own.
 */
import type { InstantMs } from './units.ts'

export interface Stepped<State, Output> {
  readonly state: State
  readonly outputs: readonly Output[]
}

export type Step<State, Input, Output> = (state: State, input: Input, now: InstantMs) => Stepped<State, Output>
