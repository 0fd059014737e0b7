/** Waits until the nodes of a local mesh see each other. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MeshError, toFault } from '../../protocols/kernel/errors.ts'
import { createMeshClient } from '../http/client.ts'
import type { MeshMember } from './local-mesh.ts'

const patienceMs = 30_000
const pollMs = 50

/**
 * Fulfilled when every node is connected to every other and has its advert, so that the first call for proposals reaches all.
 *
 * @throws MeshError `timeout` that names who does not see whom; `cancelled` by the signal.
 */
export async function joined(members: readonly MeshMember[], signal?: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + patienceMs
  const waiting = new Set(members)
  let missing = ''
  while (waiting.size > 0) {
    for (const member of waiting) {
      const lacks = await lacking(member, members)
      if (lacks.length === 0) waiting.delete(member)
      else missing = `${member.name} does not see ${lacks.join(', ')}`
    }
    if (waiting.size === 0) return
    if (signal?.aborted === true) throw new MeshError('cancelled', 'stopped before the nodes had found each other')
    if (performance.now() > deadlineMs) throw new MeshError('timeout', `the nodes did not find each other within ${patienceMs / 1_000} s: ${missing}`, { next: 'look whether the machine is very busy, or a firewall guards loopback' })
    await sleep(pollMs)
  }
}

async function lacking(member: MeshMember, members: readonly MeshMember[]): Promise<string[]> {
  const client = createMeshClient(member.http, member.token === undefined ? {} : { token: member.token })
  try {
    const nodes = await client.nodes()
    const seen = new Set(nodes.filter((node) => (node.state === 'connected' || node.self) && node.advert !== undefined).map((node) => node.peerId as string))
    return members.filter((other) => !seen.has(other.peerId)).map((other) => other.name)
  } catch (thrown) {
    return [`anybody (${toFault(thrown).detail})`]
  }
}
