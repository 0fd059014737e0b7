/** What a benchmark has started and written, when somebody stops it half-way: Ctrl-C, or a time that ran out. */

const cleanUps = new Set<() => void>()
const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const

function onSignal(signal: keyof typeof exitCodes): void {
  for (const cleanUp of cleanUps) {
    try {
      cleanUp()
    } catch (thrown) {
      // The others are to be cleaned up too.
      console.error(thrown)
    }
  }
  process.exit(exitCodes[signal])
}

/** @param cleanUp synchronous: kills processes, removes folders. @returns what forgets it, once that was done in good order. */
export function whenInterrupted(cleanUp: () => void): () => void {
  if (cleanUps.size === 0) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
  cleanUps.add(cleanUp)
  return () => {
    cleanUps.delete(cleanUp)
    if (cleanUps.size === 0) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal)
  }
}
