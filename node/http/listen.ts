import type { Server } from 'node:http'
import { MeshError } from '../../protocols/kernel/errors.ts'

const portsTriedMax = 200

/**
 * Listens on the port; when it is only a default and taken, on the next free one.
 * @throws MeshError `wrong-state` when the port is taken, `forbidden` when this user may not have it, `bad-request` when the host is not this machine's.
 */
export async function listen(server: Server, host: string, port: number, portIsDefault: boolean): Promise<void> {
  const last = portIsDefault && port !== 0 ? Math.min(port + portsTriedMax, 65_535) : port
  for (let candidate = port; ; candidate++) {
    const code = await tryPort(server, host.replace(/^\[|\]$/g, ''), candidate)
    if (code === undefined) return
    if (code === 'EADDRINUSE' && candidate < last) continue
    if (code === 'EADDRINUSE') throw new MeshError('wrong-state', portIsDefault ? `ports ${port} to ${last} are in use` : `port ${port} is in use`, { next: 'stop what listens there (is a node already running?), or choose another port for HTTP' })
    if (code === 'EACCES') throw new MeshError('forbidden', `this user may not listen on port ${candidate}`, { next: 'choose a port from 1024 on' })
    throw new MeshError('bad-request', `cannot listen on ${host}: ${code}`, { next: 'choose an address of this machine, such as 127.0.0.1' })
  }
}

function tryPort(server: Server, host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException) => {
      server.off('listening', listening)
      resolve(error.code ?? error.message)
    }
    const listening = () => {
      server.off('error', failed)
      resolve(undefined)
    }
    server.once('error', failed)
    server.once('listening', listening)
    server.listen({ host, port, exclusive: true })
  })
}
