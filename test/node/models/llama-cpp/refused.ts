import type { Fault } from '../../../../protocols/kernel/errors.ts'
import { MeshError } from '../../../../protocols/kernel/errors.ts'

/** @returns what it threw. @throws Error when that was nothing, or no MeshError. */
export function refused(run: () => unknown): Fault {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof MeshError) return thrown.fault
    throw thrown
  }
  throw new Error('expected a MeshError, got a result')
}
