/**
 * Why a node could not be reached, in plain words, one record per address: what `skein doctor` prints.
 *
 * @packageDocumentation
 */
import { MeshError } from '../../protocols/kernel/errors.ts'

export type DialFailureKind = 'refused' | 'no-route' | 'timeout' | 'wrong-mesh-key' | 'other-identity' | 'wrong-version' | 'no-address' | 'quarantined' | 'closed' | 'other'

export interface DialFailure {
  /** Known when the address names a peer or the peer was met before. */
  readonly peer?: string
  /** The multiaddr that was dialled, or the peer id when only that was known. */
  readonly addr: string
  readonly kind: DialFailureKind
  readonly reason: string
  /** Wall clock of the last attempt. */
  readonly atWallMs: number
  /** Attempts in a row that failed. */
  readonly attempts: number
}

export interface DialFailures {
  record(addr: string, peer: string | undefined, error: unknown): DialFailure
  /** The address answered: what was recorded about it, or about the peer, is over. */
  clear(addr: string | undefined, peer: string | undefined): void
  list(): readonly DialFailure[]
}

const failuresKept = 512

export function createDialFailures(wallMs: () => number): DialFailures {
  const failures = new Map<string, DialFailure>()
  return {
    record(addr, peer, error) {
      const attempts = (failures.get(addr)?.attempts ?? 0) + 1
      const failure: DialFailure = { addr, ...(peer === undefined ? {} : { peer }), ...explainDialError(error), atWallMs: wallMs(), attempts }
      failures.delete(addr)
      failures.set(addr, failure)
      if (failures.size > failuresKept) {
        const oldest = failures.keys().next()
        if (!oldest.done) failures.delete(oldest.value)
      }
      return failure
    },
    clear(addr, peer) {
      if (addr !== undefined) failures.delete(addr)
      if (peer === undefined) return
      for (const [key, failure] of failures) if (failure.peer === peer) failures.delete(key)
    },
    list: () => [...failures.values()],
  }
}

interface Explanation {
  readonly kind: DialFailureKind
  readonly reason: string
}

/** Reasons from the most telling to the least: of several addresses of one peer, the first that matches is told. */
const explanations: readonly { readonly matches: (error: Error, code: string) => boolean; readonly kind: DialFailureKind; readonly reason: string }[] = [
  {
    matches: (error) => error.name === 'WrongVersionError',
    kind: 'wrong-version',
    reason: '',
  },
  {
    matches: (error) => error.name === 'EncryptionFailedError' && /payload identity key|expected peer|does not match|UnexpectedPeer/i.test(error.message),
    kind: 'other-identity',
    reason: 'another node answers at this address than the one expected: it was given a new data directory, or the address moved to another machine',
  },
  {
    matches: (error) => error.name === 'EncryptionFailedError' || error.name === 'InvalidMessageLengthError' || error.name === 'InvalidDataLengthError',
    kind: 'wrong-mesh-key',
    reason: 'something answers there, but it does not have this mesh key: it belongs to another mesh, or is not a Skein node',
  },
  {
    matches: (error) => /DialDenied|ConnectionDenied|ConnectionIntercepted/.test(error.name),
    kind: 'quarantined',
    reason: 'it sent unreadable messages and is not spoken to for a while',
  },
  { matches: (_error, code) => code === 'ECONNREFUSED', kind: 'refused', reason: 'nothing listens there (connection refused): the node is not running, or on another port' },
  { matches: (_error, code) => /EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN/.test(code), kind: 'no-route', reason: 'there is no route to this address from here' },
  {
    matches: (error, code) => code === 'ETIMEDOUT' || /Timeout|Abort/.test(error.name),
    kind: 'timeout',
    reason: 'no answer in time: the machine is off, a firewall drops the packets, or the node hangs',
  },
  { matches: (error) => /NoValidAddresses|NotFound/.test(error.name), kind: 'no-address', reason: 'no address of this node is known' },
  {
    matches: (error, code) => /ECONNRESET|EPIPE/.test(code) || /UnexpectedEOF|StreamReset|ConnectionClosed|StreamClosed/.test(error.name),
    kind: 'closed',
    reason: 'the other side closed the connection before it was usable: it may belong to another mesh, or is shutting down',
  },
]

/** Turns what libp2p throws from a dial into one kind and one sentence. */
export function explainDialError(thrown: unknown): Explanation {
  const errors = flatten(thrown)
  for (const { matches, kind, reason } of explanations) {
    const error = errors.find((inner) => matches(inner, codeOf(inner)))
    if (error !== undefined) return { kind, reason: reason === '' ? error.message : reason }
  }
  const first = errors[0]
  return { kind: 'other', reason: first === undefined ? String(thrown) : `${first.name}: ${first.message}`.slice(0, 300) }
}

/** The peer is in the mesh, but speaks another major of the protocol. */
export function wrongVersionError(theirs: readonly string[], ours: string): Error {
  const error = new MeshError('bad-request', `it speaks ${theirs.join(', ')}, this node speaks ${ours}: run the same major release of Skein on both`)
  error.name = 'WrongVersionError'
  return error
}

function flatten(thrown: unknown): Error[] {
  if (thrown instanceof AggregateError) return thrown.errors.flatMap(flatten)
  if (!(thrown instanceof Error)) return []
  return thrown.cause === undefined ? [thrown] : [thrown, ...flatten(thrown.cause)]
}

function codeOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return code === '' ? (/\b(E[A-Z]{4,})\b/.exec(error.message)?.[1] ?? '') : code
}
