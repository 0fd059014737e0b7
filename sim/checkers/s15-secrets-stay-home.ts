/** S15: the world plants secrets and looks for them in every text that leaves a node's own memory; one that is found is told here. */
import type { Checker } from '../history/history.ts'

const promise = 'S15'

export const secretsStayHome: Checker = {
  promise,
  says: 'secrets never reach logs, gossip or results',
  // The secret itself is not repeated: a report goes further than the run.
  check: (history) => history.secretsSeen.map(({ atMs, where }) => ({ promise, atMs, detail: `a secret was seen in ${where}` })),
}
