/**
 * Finding the port to listen on: the one asked for, or the next free one when it was only the default.
 *
 * @packageDocumentation
 */
import { createServer } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshError } from '../../protocols/kernel/errors.ts'

const portsTried = 100

/**
 * @param listen multiaddrs such as `/ip4/0.0.0.0/tcp/4747`; port 0 lets the system choose.
 * @param portIsDefault whether nobody asked for this port, so that the next free one will do.
 * @returns the addresses with a port that was free a moment ago, the same one in all of them.
 * @throws MeshError `wrong-state` when a port asked for is taken, `bad-request` when an address cannot be listened on.
 */
export async function freeListenAddresses(listen: readonly string[], portIsDefault: boolean): Promise<string[]> {
  for (const addr of listen) tcpPartsOf(addr)
  for (let step = 0; step < portsTried; step++) {
    const shifted = listen.map((addr) => withPort(addr, step))
    const taken = await firstTaken(shifted)
    if (taken === undefined) return shifted
    if (!portIsDefault) throw portTakenError(taken)
  }
  throw new MeshError('wrong-state', `ports ${tcpPartsOf(listen[0] ?? '').port} and the ${portsTried - 1} after it are all taken`, { next: 'choose a free port with --listen' })
}

/** The one error for a port in use, wherever it is noticed. */
export function portTakenError(addr: string): MeshError {
  return new MeshError('wrong-state', `${addr} is in use by another program`, { next: 'stop that program, or choose another port with --listen (…/tcp/0 takes any free one)' })
}

async function firstTaken(listen: readonly string[]): Promise<string | undefined> {
  for (const addr of listen) {
    const { host, port } = tcpPartsOf(addr)
    if (port !== 0 && !(await isFree(addr, host, port))) return addr
  }
  return undefined
}

function isFree(addr: string, host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false)
      else if (error.code === 'EACCES') reject(new MeshError('bad-request', `port ${port} may not be used by this user`, { next: 'choose a port above 1023 with --listen' }))
      // A machine without IPv6: libp2p leaves such addresses out when others work.
      else if (host.includes(':')) resolve(true)
      else reject(new MeshError('bad-request', `${addr} cannot be listened on: ${error.message}`, { next: 'listen on an address of this machine, for example /ip4/0.0.0.0/tcp/4747' }))
    })
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

function tcpPartsOf(addr: string): { readonly host: string; readonly port: number } {
  const parts = /^\/(ip4|ip6)\/([^/]+)\/tcp\/(\d{1,5})$/.exec(addr)
  const port = Number(parts?.[3])
  try {
    multiaddr(addr)
    if (parts?.[2] !== undefined && port <= 65_535) return { host: parts[2], port }
  } catch {
    // told below, with every other malformed address
  }
  throw new MeshError('bad-request', `${addr} is not an address to listen on`, { next: 'write it like /ip4/0.0.0.0/tcp/4747' })
}

function withPort(addr: string, step: number): string {
  const { port } = tcpPartsOf(addr)
  return port === 0 ? addr : addr.replace(/\d+$/, String(port + step))
}
