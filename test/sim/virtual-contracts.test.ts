/** The virtual adapters under the suites that the real ones pass. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Capability } from '../../protocols/capability/schema.ts'
import { fault } from '../../protocols/kernel/errors.ts'
import type { CapabilityName, PeerId } from '../../protocols/kernel/ids.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { createVirtualBlobStore, createVirtualBlobSwarm } from '../../sim/blob-store-virtual-adapter.ts'
import { createVirtualDht, createVirtualDiscovery } from '../../sim/discovery-virtual-adapter.ts'
import { createVirtualGossip } from '../../sim/gossip-virtual-adapter.ts'
import { createVirtualIdentity, virtualPeerId } from '../../sim/identity-virtual-adapter.ts'
import { createScriptedSkillRunner, type ScriptedSkill } from '../../sim/skill-runner-scripted-adapter.ts'
import { createVirtualTransport } from '../../sim/transport-virtual-adapter.ts'
import { createVirtualClock, type VirtualClock } from '../../sim/virtual-clock.ts'
import { createVirtualGossipMesh } from '../../sim/virtual-gossip.ts'
import { createVirtualNetwork } from '../../sim/virtual-network.ts'
import { discoveryContract } from '../contracts/discovery.ts'
import { gossipContract } from '../contracts/gossip.ts'
import { identityContract } from '../contracts/identity.ts'
import { skillRunnerContract } from '../contracts/skill-runner.ts'
import { transportContract } from '../contracts/transport.ts'

const names = ['a', 'b', 'c', 'd']

function build() {
  const world = createVirtualClock()
  const random = seededRandom([3, 4])
  const network = createVirtualNetwork({ clock: world, random: random.split() })
  const hosts = names.map((name) => network.join(virtualPeerId(name)))
  return { world, random, network, hosts }
}

/** Lets virtual time pass while a suite waits for a promise of its own. */
function keepRunning(world: VirtualClock): () => Promise<void> {
  let stopped = false
  const running = (async () => {
    while (!stopped) {
      await world.step()
      await turn()
    }
  })()
  return async () => {
    stopped = true
    await running
  }
}

transportContract('the virtual transport', () => {
  const { world, network, hosts } = build()
  const nodes = hosts.slice(0, 3).map((host) => ({ peerId: host.peer, transport: createVirtualTransport(host) }))
  return {
    nodes,
    nobody: virtualPeerId('nobody'),
    remove: (index) => network.crash(nodes[index]!.peerId),
    waitUntil: (condition) => world.runUntil(condition),
  }
})

gossipContract('the virtual gossip', async () => {
  const { world, random, network, hosts } = build()
  network.connectAll()
  await world.runFor(100)
  const mesh = createVirtualGossipMesh(network, random)
  return { nodes: hosts.map((host) => ({ peerId: host.peer, gossip: createVirtualGossip(host, mesh) })), waitUntil: (condition) => world.runUntil(condition) }
})

discoveryContract('the virtual discovery', async () => {
  const { world, network, hosts } = build()
  network.connectAll()
  await world.runFor(100)
  const dht = createVirtualDht()
  const stop = keepRunning(world)
  return {
    nodes: hosts.map((host) => ({ peerId: host.peer, discovery: createVirtualDiscovery(host, dht) })),
    lone: createVirtualDiscovery(network.join(virtualPeerId('lone')), dht),
    async ask(question, satisfies) {
      for (;;) {
        const answer = await question()
        if (satisfies(answer)) return answer
      }
    },
    stop,
  }
})

identityContract('the virtual identity', () => [createVirtualIdentity('ada'), createVirtualIdentity('bob')])

function capability(name: string, kind: Capability['kind'] = 'leaf'): Capability {
  return { name: name as CapabilityName, version: '1.0', kind, effects: 'none', attributes: {}, summary: '' }
}

const valueOf = (input: unknown): unknown => (input as { inline: { value?: unknown } }).inline.value

const contractSkills: ScriptedSkill[] = [
  {
    capability: capability('contract.echo'),
    checkInput: (input) => (typeof (input as { value?: unknown } | null)?.value === 'string' ? undefined : fault('bad-input', 'value must be a text')),
    run: (run) => ({ afterMs: 5, output: { value: valueOf(run.input) as Json } }),
  },
  {
    capability: capability('contract.throw'),
    run: () => {
      throw new Error('thrown on purpose')
    },
  },
  { capability: capability('contract.wait'), run: () => ({ afterMs: Infinity }) },
  { capability: capability('contract.big'), run: () => ({ afterMs: 5, output: 'x'.repeat(100_000) }) },
  {
    capability: capability('contract.steps'),
    run: ({ input, checkpoint }) => {
      const { steps, failAfter, padding } = (input as { inline: { steps: number; failAfter?: number; padding?: number } }).inline
      const before = checkpoint === undefined ? 0 : (checkpoint as { inline: { fraction: number } }).inline.fraction
      const last = failAfter ?? steps
      // A step takes 10 ms, what follows the last one 5.
      const checkpoints = Array.from({ length: last }, (_, i) => ({ at: (10 * (i + 1)) / (10 * last + 5), value: { fraction: (i + 1) / steps, ...(padding === undefined ? {} : { padding: 'x'.repeat(padding) }) } }))
      return { afterMs: 10 * last + 5, checkpoints, ...(failAfter === undefined ? { output: { did: Math.round(steps * (1 - before)) } } : { fault: fault('skill-failed', 'thrown half way') }) }
    },
  },
  {
    capability: capability('contract.split', 'composite'),
    plan: (run) => {
      const { parts } = (run.input as { inline: { parts: number } }).inline
      return { afterMs: 5, output: { tasks: Object.fromEntries(Array.from({ length: parts }, (_, at) => [`p${at}`, { capability: 'contract.echo', input: { value: `p${at}` } }])) } }
    },
    synthesise: (run) => ({
      afterMs: 5,
      output: { states: (run.children ?? []).map((child) => `${child.name} ${child.state} ${child.fault?.detail ?? JSON.stringify(child.output !== undefined && 'inline' in child.output ? child.output.inline : null)}`) },
    }),
  },
]

skillRunnerContract('scripted', async () => {
  const world = createVirtualClock()
  const blobs = createVirtualBlobStore({ self: 'a' as PeerId, swarm: createVirtualBlobSwarm({ clock: world }) })
  return { runner: createScriptedSkillRunner({ clock: world.clockFor('a'), skills: contractSkills, blobs }), blobs, close: keepRunning(world) }
})
