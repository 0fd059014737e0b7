/**
 * A wait that was given up, and that nobody waits for any more, is no reason to end a node. Its own code leaves none behind; libp2p and kad-dht
 * do now and then, on a machine that stood still for seconds: an `AbortSignal.timeout` fires for one half of a race whose other half has won.
 * Any other rejection that nobody handles ends the process, as it does without this.
 */
export function survivesAbandonedWaits(warn: (line: string) => void): { close(): void } {
  const onRejection = (reason: unknown): void => {
    if (!isAbort(reason)) throw reason
    warn(`skein: something was given up that nobody waited for any more, and the node goes on (${reason.name}: ${reason.message})`)
  }
  process.on('unhandledRejection', onRejection)
  return { close: () => void process.off('unhandledRejection', onRejection) }
}

function isAbort(reason: unknown): reason is Error {
  return reason instanceof Error && (reason.name === 'TimeoutError' || reason.name === 'AbortError')
}
