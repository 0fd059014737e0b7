/**
 * Machines without machines: network namespaces with addresses of their own on one switch. Each has its own loopback, sees no
 * other's, and a node on it keeps its data on a disk that nobody else can see. Linux, root.
 */
import { execFileSync } from 'node:child_process'
import { findProgram } from '../requirements.ts'
import type { RealNodeSpec } from './real-mesh.ts'

export interface NamespacedMachine {
  readonly name: string
  readonly address: string
  /** What a node on this machine needs beside its name. */
  readonly spec: Pick<RealNodeSpec, 'prefix' | 'shell' | 'listenHost'>
  /** Pulls the network cable out, or plugs it in again. */
  cable(plugged: boolean): void
  /** Processes on it. */
  pids(): number[]
}

export interface NamespacedNetwork {
  readonly machines: readonly NamespacedMachine[]
  /** Removes all of it. @throws Error when processes are left on a machine. */
  remove(): void
}

/** What else these tests need once namespaces are allowed. */
export function lacksNamespaceTools(): string | undefined {
  const missing = ['ip', 'nsenter', 'unshare', 'mount'].filter((name) => findProgram(name) === undefined)
  return missing.length === 0 ? undefined : `not installed here: ${missing.join(', ')}`
}

let made = 0

/** @param names at most 200; addresses are 10.77.0.1, 10.77.0.2, … */
export function createNetwork(names: readonly string[]): NamespacedNetwork {
  made += 1
  const prefix = `skein-${process.pid}-${made}`
  const hub = `${prefix}-switch`
  const created: string[] = []
  const add = (namespace: string): void => {
    ip('netns', 'add', namespace)
    created.push(namespace)
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
  }
  const remove = (): void => {
    const left = created.flatMap((namespace) => pidsOn(namespace).map((pid) => `${pid} on ${namespace}`))
    for (const namespace of created.splice(0).reverse()) ip('netns', 'delete', namespace)
    if (left.length > 0) throw new Error(`processes were left: ${left.join(', ')}`)
  }
  try {
    add(hub)
    ip('-n', hub, 'link', 'add', 'bridge0', 'type', 'bridge')
    ip('-n', hub, 'link', 'set', 'bridge0', 'up')
    const machines = names.map((name, index): NamespacedMachine => {
      const namespace = `${prefix}-${name}`
      const address = `10.77.0.${index + 1}`
      add(namespace)
      ip('-n', namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `port${index}`, 'netns', hub)
      ip('-n', hub, 'link', 'set', `port${index}`, 'master', 'bridge0', 'up')
      ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0')
      ip('-n', namespace, 'link', 'set', 'eth0', 'up')
      return {
        name, address,
        spec: {
          listenHost: address,
          // The folder that is mounted over is the node's data folder, its working directory.
          prefix: ['ip', 'netns', 'exec', namespace, 'unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs "$PWD" && cd "$PWD" && exec "$@"', 'sh'],
          shell: (pid) => ['nsenter', '--target', String(pid), '--net', '--mount'],
        },
        cable: (plugged) => ip('-n', hub, 'link', 'set', `port${index}`, plugged ? 'up' : 'down'),
        pids: () => pidsOn(namespace),
      }
    })
    return { machines, remove }
  } catch (thrown) {
    remove()
    throw thrown
  }
}

function ip(...args: string[]): void {
  execFileSync(findProgram('ip') ?? 'ip', args, { stdio: 'pipe' })
}

function pidsOn(namespace: string): number[] {
  return execFileSync(findProgram('ip') ?? 'ip', ['netns', 'pids', namespace], { encoding: 'utf8' }).split('\n').filter((line) => line !== '').map(Number)
}
