/** What the replication benchmark takes of the others, and waiting for a condition. */
export { type Figure, quantileOf, text } from '../figure.ts'

/** Resolves once the condition holds. @throws Error with what did not happen in time. */
export async function until<Value>(what: string, look: () => Promise<Value | undefined> | Value | undefined, patienceMs = 60_000): Promise<Value> {
  const deadlineMs = performance.now() + patienceMs
  for (;;) {
    let lastFailure = ''
    try {
      const found = await look()
      if (found !== undefined) return found
    } catch (thrown) {
      lastFailure = `: ${thrown instanceof Error ? thrown.message : String(thrown)}`
    }
    if (performance.now() > deadlineMs) throw new Error(`${what} did not happen within ${patienceMs / 1_000} s${lastFailure}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
