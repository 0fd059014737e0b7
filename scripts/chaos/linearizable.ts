/**
 * Is a history of a write-once register linearizable? (Herlihy & Wing, 1990.)
 *
 * A task's accepted award is such a register: empty, then one award for ever. `checkRegister` says whether there is one order of all
 * operations that respects real time (what returned before another was invoked comes before it) and in which every operation saw what a
 * single register would have shown it.
 *
 * A write-once register needs no search: at most one write takes effect, so every order has three parts, "before it", "it" and "after it",
 * and which part a read belongs to follows from what it returned. An order exists exactly if no operation of a later part returned before
 * one of an earlier part was invoked. That is O(operations × writes), where a general checker (WGL, as in Porcupine and Knossos) is exponential
 * in concurrent operations. The npm registry has no maintained port of one: `porcupine` there is something else, and there is no `knossos`.
 *
 * @packageDocumentation
 */

/** A read that returned "something is there", without saying what. */
export const something = Symbol('something')

export interface RegisterRead {
  readonly kind: 'read'
  readonly invokedMs: number
  readonly returnedMs: number
  /** Undefined: the register was empty. */
  readonly value: string | typeof something | undefined
  /** For people: who read. */
  readonly by?: string
}

export interface RegisterWrite {
  readonly kind: 'write'
  readonly invokedMs: number
  /** `Infinity` where nobody knows: it may still take effect. */
  readonly returnedMs: number
  readonly value: string
  /** `won`: it was the first. `lost`: another was there already. `unknown`: it may have won, lost, or never arrived. */
  readonly outcome: 'won' | 'lost' | 'unknown'
  readonly by?: string
}

export type RegisterOperation = RegisterRead | RegisterWrite

export interface RegisterVerdict {
  readonly ok: boolean
  /** Why not, for people. */
  readonly why?: string
  /** Operations that cannot be ordered: the later part first. */
  readonly conflict?: readonly RegisterOperation[]
}

/**
 * @param history in any order.
 * @param writes `observed`: the history has every write that was tried. `hidden`: others may have been tried at any time, with any value.
 */
export function checkRegister(history: readonly RegisterOperation[], { writes = 'observed' }: { readonly writes?: 'observed' | 'hidden' } = {}): RegisterVerdict {
  const seen = history.flatMap((operation) => (operation.kind === 'read' && typeof operation.value === 'string' ? [operation] : []))
  const [first] = seen
  const other = seen.find((read) => read.value !== first?.value)
  if (first !== undefined && other !== undefined) return { ok: false, why: `two values were read: ${String(first.value)} and ${String(other.value)}`, conflict: [first, other] }
  const winners = history.filter((operation) => operation.kind === 'write' && operation.outcome === 'won')
  if (winners.length > 1) return { ok: false, why: 'two writes were told that they were the first', conflict: winners.slice(0, 2) }

  const proofs = history.filter((operation) => (operation.kind === 'read' ? operation.value !== undefined : operation.outcome !== 'unknown'))
  if (proofs.length === 0) return { ok: true }

  const candidates = history.filter((operation): operation is RegisterWrite => operation.kind === 'write' && operation.outcome !== 'lost' && (first === undefined || operation.value === first.value) && (winners.length === 0 || operation === winners[0]))
  // One that nobody recorded may have happened at any time, unless another write is known to be the first.
  if (writes === 'hidden' && winners.length === 0) candidates.push({ kind: 'write', invokedMs: -Infinity, returnedMs: Infinity, value: String(first?.value), outcome: 'unknown', by: 'nobody recorded it' })
  let verdict: RegisterVerdict = { ok: false, why: first === undefined ? 'something was there that nobody had written' : `${String(first.value)} was read, but nobody had written it`, conflict: proofs.slice(0, 1) }
  for (const write of candidates) {
    verdict = orderAround(write, history)
    if (verdict.ok) return verdict
  }
  return verdict
}

function orderAround(write: RegisterWrite, history: readonly RegisterOperation[]): RegisterVerdict {
  const before = history.filter((operation) => operation.kind === 'read' && operation.value === undefined)
  const after = history.filter((operation) => operation !== write && (operation.kind === 'read' ? operation.value !== undefined : operation.outcome === 'lost'))
  const lastBefore = extreme(before, (operation) => operation.invokedMs)
  const firstAfter = extreme(after, (operation) => -operation.returnedMs)
  // A write of unknown outcome takes effect at any time after it was invoked, whenever its caller gave up.
  const writtenByMs = write.outcome === 'won' ? write.returnedMs : Infinity
  if (firstAfter !== undefined && lastBefore !== undefined && firstAfter.returnedMs < lastBefore.invokedMs) return { ok: false, why: `${told(firstAfter)} returned ${(lastBefore.invokedMs - firstAfter.returnedMs).toFixed(1)} ms before ${told(lastBefore)} was invoked`, conflict: [firstAfter, lastBefore] }
  if (firstAfter !== undefined && firstAfter.returnedMs < write.invokedMs) return { ok: false, why: `${told(firstAfter)} returned before the value was written`, conflict: [firstAfter, write] }
  if (lastBefore !== undefined && writtenByMs < lastBefore.invokedMs) return { ok: false, why: `${told(lastBefore)} was invoked after the value had been written`, conflict: [write, lastBefore] }
  return { ok: true }
}

function told(operation: RegisterOperation): string {
  const by = operation.by === undefined ? '' : ` by ${operation.by}`
  if (operation.kind === 'write') return `a write of ${operation.value}${by}`
  return operation.value === undefined ? `a read of nothing${by}` : `a read of ${typeof operation.value === 'string' ? operation.value : 'something'}${by}`
}

function extreme(operations: readonly RegisterOperation[], by: (operation: RegisterOperation) => number): RegisterOperation | undefined {
  let best: RegisterOperation | undefined
  for (const operation of operations) if (best === undefined || by(operation) > by(best)) best = operation
  return best
}
