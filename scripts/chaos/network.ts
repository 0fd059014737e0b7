/**
 * Five machines without machines: a network namespace per node on one switch, and an address of ours on it, so that the campaign reaches
 * every bridge whatever the nodes can reach. Linux, root.
 */
import { findProgram, isAlive, run } from './machine.ts'

/** `both`: hears nobody and is not heard. `in`: sends, but hears nobody. `out`: hears, but is not heard. */
export type Cut = 'both' | 'in' | 'out'

export interface ChaosMachine {
  readonly address: string
  /** Command before the command. */
  readonly prefix: readonly string[]
  /** Cuts it off from the other nodes; with `wholly` from us as well. */
  cut(how: Cut, wholly: boolean): void
  heal(): void
}

export interface ChaosNetwork {
  readonly machines: readonly ChaosMachine[]
  remove(): void
}

const namePrefix = 'skein-chaos-'

/** @param count at most 200. */
export function createChaosNetwork(count: number): ChaosNetwork {
  removeLeftovers()
  const base = `${namePrefix}${process.pid}`
  const hub = `${base}-switch`
  const ours = `skc${process.pid}`
  const subnet = freeSubnet()
  const created: string[] = []
  const ip = (...args: string[]): string => run('ip', args)
  const add = (namespace: string): void => {
    ip('netns', 'add', namespace)
    created.push(namespace)
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
  }
  const remove = (): void => {
    // Interfaces go with the namespace of the switch, ours included.
    for (const namespace of created.splice(0)) run('ip', ['netns', 'delete', namespace])
  }
  try {
    add(hub)
    ip('-n', hub, 'link', 'add', 'bridge0', 'type', 'bridge')
    ip('-n', hub, 'link', 'set', 'bridge0', 'up')
    ip('link', 'add', ours, 'type', 'veth', 'peer', 'name', 'host', 'netns', hub)
    ip('-n', hub, 'link', 'set', 'host', 'master', 'bridge0', 'up')
    ip('address', 'add', `${subnet}.254/24`, 'dev', ours)
    ip('link', 'set', ours, 'up')
    const machines = Array.from({ length: count }, (_, index): ChaosMachine => {
      const namespace = `${base}-${index}`
      const address = `${subnet}.${index + 1}`
      add(namespace)
      ip('-n', namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `port${index}`, 'netns', hub)
      ip('-n', hub, 'link', 'set', `port${index}`, 'master', 'bridge0', 'up')
      ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0')
      ip('-n', namespace, 'link', 'set', 'eth0', 'up')
      const prefix = [findProgram('ip') ?? 'ip', 'netns', 'exec', namespace]
      const nft = (rules: string): void => void run('ip', ['netns', 'exec', namespace, findProgram('nft') ?? 'nft', '-f', '-'], rules)
      return {
        address, prefix,
        cut: (how, wholly) => nft(rulesOf(how, subnet, address, wholly)),
        heal: () => nft('table inet chaos\ndelete table inet chaos\n'),
      }
    })
    return { machines, remove }
  } catch (thrown) {
    remove()
    throw thrown
  }
}

function rulesOf(how: Cut, subnet: string, self: string, wholly: boolean): string {
  // A node talks to itself through its own address too.
  const others = (side: 'saddr' | 'daddr'): string => `ip ${side} ${subnet}.0/24 ip ${side} != { ${wholly ? self : `${self}, ${subnet}.254`} } drop`
  const chain = (hook: 'input' | 'output', rule: string): string => `chain ${hook} {\n type filter hook ${hook} priority 0;\n ${rule}\n}\n`
  return `table inet chaos {\n${how === 'out' ? '' : chain('input', others('saddr'))}${how === 'in' ? '' : chain('output', others('daddr'))}}\n`
}

function freeSubnet(): string {
  const taken = run('ip', ['-o', '-4', 'address'])
  for (let tried = 0; tried < 200; tried++) {
    const subnet = `10.79.${(process.pid + tried) % 200}`
    if (!taken.includes(` ${subnet}.`)) return subnet
  }
  throw new Error('no subnet of 10.79.0.0/16 is free')
}

/** What a campaign that was killed itself has left. */
function removeLeftovers(): void {
  for (const line of run('ip', ['netns', 'list']).split('\n')) {
    const [, name = '', pid] = /^(skein-chaos-(\d+)-\S+)/.exec(line) ?? []
    if (pid !== undefined && !isAlive(Number(pid))) run('ip', ['netns', 'delete', name])
  }
}
