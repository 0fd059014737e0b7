/** What the probes mean: pure, from what was seen to sentences with what to do. */
import { z } from 'zod'
import type { NodeView } from '../../../protocols/capability/views.ts'
import { endpointName } from '../../config/model-settings.ts'
import { offerLine } from '../../models/local-servers.ts'
import { counted, printable, seconds, shortPeer } from '../view/format.ts'
import { type BridgeView, type Probes, nodeNamed } from './probes.ts'

export interface Finding {
  readonly level: 'good' | 'note' | 'problem'
  readonly about: string
  readonly detail: string
  readonly next?: string
}

const clockSkewNotedMs = 5_000
const clockSkewProblemMs = 60_000

/** What of a node's own report of its logs is looked at; a node of an earlier release sends none. */
const Replication = z.object({
  replication: z.object({
    admitted: z.string(), roster: z.string(), keepers: z.array(z.object({ name: z.string(), connected: z.boolean() })), groups: z.number(), leads: z.number(), underReplicated: z.number().default(0), damaged: z.array(z.string()), room: z.string(),
  }),
})

export function findingsOf(probes: Probes, subject: string | undefined): Finding[] {
  return [
    ...configFindings(probes),
    ...networkFindings(probes),
    ...modelFindings(probes),
    ...('value' in probes.bridge ? meshFindings(probes.bridge.value) : [{
      level: 'problem' as const, about: 'bridge', detail: probes.bridge.fault.detail, next: probes.bridge.fault.next ?? 'start a node with: skein start',
    }]),
    ...(subject === undefined ? [] : subjectFindings(subject, probes)),
  ]
}

function configFindings({ config, meshFingerprint, run }: Probes): Finding[] {
  if ('fault' in config) return [{ level: 'problem', about: 'configuration', detail: config.fault.detail, ...nextOf(config.fault) }]
  const found: Finding[] = []
  const { data } = config.value.config
  for (const { variable, nearest } of config.value.ignored) {
    found.push({ level: 'note', about: 'configuration', detail: `${variable} is no setting`, ...(nearest === undefined ? {} : { next: `did you mean ${nearest}?` }) })
  }
  const { endpointProblem } = config.value
  if (endpointProblem !== undefined) found.push({ level: 'problem', about: 'models', detail: endpointProblem.fault.detail, ...nextOf(endpointProblem.fault) })
  found.push(run === undefined
    ? { level: 'note', about: 'this machine', detail: `no node runs on the data directory ${data}`, next: 'start one with: skein start' }
    : { level: 'good', about: 'this machine', detail: `${printable(run.name)} runs (process ${run.pid}), bridge ${run.http ?? 'none'}, for other nodes at ${run.addrs.join(', ') || 'no address'}` })
  if ('fault' in meshFingerprint) found.push({ level: 'problem', about: 'mesh key', detail: meshFingerprint.fault.detail, ...nextOf(meshFingerprint.fault) })
  else if (meshFingerprint.value !== undefined) {
    found.push({ level: 'good', about: 'mesh key', detail: `fingerprint ${meshFingerprint.value}`, next: 'compare it with the same line on the other machine: nodes with different keys never see each other' })
  }
  return found
}

function networkFindings({ machine, config, run }: Probes): Finding[] {
  const found: Finding[] = []
  const settings = 'value' in config ? config.value.config : undefined
  const explicit = 'name them instead: skein start --join <invite or address>'
  if (settings?.mdns === false) found.push({ level: 'note', about: 'discovery', detail: 'mDNS is off (mdns: false): nodes are found by invites and addresses only' })
  else if (machine.hasDefaultRoute === false) found.push({ level: 'problem', about: 'discovery', detail: 'this machine has no default route, so mDNS finds nobody', next: explicit })
  else if (machine.container) found.push({ level: 'note', about: 'discovery', detail: 'in a container mDNS usually does not leave the container', next: explicit })
  else found.push({ level: 'note', about: 'discovery', detail: 'mDNS reaches this network segment only: not through routers, VPNs or most guest networks', next: explicit })
  if (machine.addresses.length === 0) found.push({ level: 'problem', about: 'network', detail: 'this machine has no address but loopback', next: 'connect it to a network; until then only nodes on this machine can be reached' })
  if (run !== undefined && run.addrs.length > 0 && run.addrs.every((addr) => /\/ip4\/127\.|\/ip6\/::1\//.test(addr))) {
    found.push({ level: 'note', about: 'network', detail: 'this node listens on loopback only: other machines cannot reach it', next: 'start it with --listen-host 0.0.0.0' })
  }
  return found
}

/** What could be used and is not, also by the node that runs. */
function modelFindings({ modelServers, bridge }: Probes): Finding[] {
  const self = 'value' in bridge ? bridge.value.nodes.find((node) => node.self) : undefined
  const used = new Set(self?.advert?.capabilities.map(({ attributes }) => attributes['provider']))
  return modelServers.filter(({ url }) => !used.has(endpointName(url))).map((server) => ({ level: 'note' as const, about: 'models', ...offerLine(server) }))
}

function meshFindings(bridge: BridgeView): Finding[] {
  const others = bridge.nodes.filter((node) => !node.self)
  const reachable = others.filter((node) => node.state === 'connected')
  const found: Finding[] = [others.length === 0
    ? { level: 'note', about: 'mesh', detail: `the bridge ${bridge.url} (release ${bridge.release}) knows no other node`, next: 'on the other machine run the line that "skein invite" prints' }
    : { level: 'good', about: 'mesh', detail: `the bridge ${bridge.url} (release ${bridge.release}) is connected to ${reachable.length} of ${counted(others.length, 'other node')}` }]
  const told = new Set<string>()
  for (const node of others) {
    if (node.state !== 'connected') found.push(unreachable(node, bridge, told))
    const clock = clockFinding(node, bridge)
    if (clock !== undefined) found.push(clock)
    if (node.advert !== undefined && node.advert.release !== bridge.release) found.push({ level: 'note', about: named(node), detail: `it runs release ${node.advert.release}, the bridge ${bridge.release}` })
  }
  for (const dial of bridge.dials) {
    if (told.has(dial.addr)) continue
    const node = bridge.nodes.find((known) => known.peerId === dial.peer)
    if (node?.state === 'connected') continue
    found.push({ level: 'problem', about: node === undefined ? dial.addr : named(node), detail: `${node === undefined ? '' : `${dial.addr}: `}${printable(dial.reason)}${tries(dial.attempts)}`, next: adviceFor(dial.kind) })
  }
  return [...found, ...replicationFindings(bridge)]
}

/** Can missions be handed in here, and are they safe? */
function replicationFindings({ status }: BridgeView): Finding[] {
  const parsed = Replication.safeParse('value' in status ? status.value : undefined)
  if (!parsed.success) return []
  const { admitted, roster, keepers, groups, leads, underReplicated, damaged, room } = parsed.data.replication
  const found: Finding[] = []
  const away = keepers.filter(({ connected }) => !connected).map(({ name }) => printable(name))
  if (roster === 'unreachable') {
    found.push({
      level: 'problem', about: 'roster', detail: `no leader of the mesh's roster can be reached: ${away.length === 0 ? 'an election is under way, or has just failed' : `${away.join(', ')} ${away.length === 1 ? 'is' : 'are'} away, of the keepers ${keepers.map(({ name }) => printable(name)).join(', ')}`}; nothing can be submitted meanwhile`,
      next: away.length === 0 ? 'look again in a few seconds' : 'a majority of the keepers must run: start them again',
    })
  } else if (roster === 'unknown') {
    found.push({ level: 'problem', about: 'roster', detail: 'this node has heard of no roster: it has met no member of its mesh that knows one', next: 'start the node that made the mesh, or join one of its members: skein start --join …' })
  }
  if (admitted === 'not-yet' && roster === 'led') found.push({ level: 'note', about: 'roster', detail: 'the roster has not admitted this node yet: it keeps no logs, and hands submissions on', next: 'look again in a few seconds; its log says when it was admitted (roster.admitted)' })
  if (damaged.length > 0) {
    found.push({
      level: 'problem', about: 'logs', detail: `${counted(damaged.length, 'log')} of this node cannot be read and ${damaged.length === 1 ? 'is' : 'are'} left alone: ${damaged.slice(0, 5).map(printable).join(', ')}${damaged.length > 5 ? ', …' : ''}`,
      next: 'stop the node and look with: skein store verify; what has no other copy is lost, submit it again',
    })
  }
  if (underReplicated > 0) {
    found.push({
      level: 'note', about: 'logs', detail: `fewer nodes keep ${counted(underReplicated, 'log')} led here than should: so it is for a moment after nodes have come, and while one is missing`,
      next: 'wait some seconds before a node is switched off; if it stays so, start the missing node, or another: skein nodes',
    })
  }
  if (room === 'low') found.push({ level: 'problem', about: 'disk', detail: 'room on the disk runs low: new missions are refused here, those that run go on', next: 'free some, or let less be kept: replication.archiveKeptMs, skein store compact' })
  if (room === 'full') found.push({ level: 'problem', about: 'disk', detail: 'the disk is full: what was reserved for emergencies has been given up, writes fail', next: 'free some now, then start the node again' })
  if (groups > 0) found.push({ level: 'good', about: 'logs', detail: `this node is a member of ${counted(groups, 'replicated log')} and leads ${leads}` })
  return found
}

function named(node: NodeView): string {
  return `${printable(node.name)} (${shortPeer(node.peerId)})`
}

function unreachable(node: NodeView, bridge: BridgeView, told: Set<string>): Finding {
  const dials = bridge.dials.filter((dial) => dial.peer === node.peerId || node.advert?.addrs.includes(dial.addr) === true)
  for (const dial of dials) told.add(dial.addr)
  const seen = node.lastSeenAgoMs === undefined ? '' : `, last heard ${seconds(node.lastSeenAgoMs)} ago`
  if (node.state === 'leaving') return { level: 'note', about: named(node), detail: `it is stopping${seen}` }
  const reasons = [
    ...(node.fault === undefined ? [] : [printable(node.fault.detail)]),
    ...dials.map((dial) => `${dial.addr === node.peerId ? '' : `${dial.addr}: `}${printable(dial.reason)}${tries(dial.attempts)}`),
  ]
  const states: Record<string, string> = { gone: 'its connection was lost', known: 'it is known from others, but there is no connection to it', quarantined: 'it is quarantined' }
  return {
    level: 'problem', about: named(node),
    detail: `${states[node.state] ?? node.state}${seen}${reasons.length === 0 ? '' : `; ${reasons.join('; ')}`}`,
    next: node.fault?.next ?? adviceFor(dials[0]?.kind),
  }
}

function tries(attempts: number | undefined): string {
  return attempts === undefined || attempts < 2 ? '' : ` (${counted(attempts, 'attempt').replace('attempts', 'attempts in a row')})`
}

function adviceFor(kind: string | undefined): string {
  switch (kind) {
    case 'refused': return 'look whether the node runs there ("skein start") and on which port'
    case 'no-route': return 'bring both machines into one network or VPN, or give another address with --announce'
    case 'timeout': return 'look whether the machine is on and its firewall lets the port in (4747 unless chosen otherwise)'
    case 'wrong-mesh-key': return 'compare "skein doctor" on both: the mesh key fingerprints must be the same; join again with a fresh invite'
    case 'other-identity': return 'join again with a fresh invite, which names the node that is there now'
    case 'wrong-version': return 'run the same major release of Skein on both'
    case 'quarantined': return 'look at its log; it is spoken to again after a while'
    case 'no-address': return 'give its address: skein start --join /ip4/…/tcp/4747'
    default: return 'look whether it still runs there, then at "skein doctor" on that machine'
  }
}

/** An advert is renewed every few seconds, so its date tells of the other's clock. */
function clockFinding(node: NodeView, bridge: BridgeView): Finding | undefined {
  if (node.state !== 'connected' || node.advert === undefined) return undefined
  const aheadMs = node.advert.issuedAtWallMs - bridge.askedAtWallMs
  const expiredMs = bridge.askedAtWallMs - node.advert.expiresAtWallMs
  const offMs = Math.max(aheadMs, expiredMs)
  if (offMs < clockSkewNotedMs) return undefined
  return {
    level: offMs >= clockSkewProblemMs ? 'problem' : 'note', about: named(node),
    detail: `its clock is at least ${seconds(offMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this one`, next: 'set both clocks by NTP: adverts of a clock that is off by a minute are not believed',
  }
}

function subjectFindings(subject: string, probes: Probes): Finding[] {
  const bridge = 'value' in probes.bridge ? probes.bridge.value : undefined
  const node = bridge === undefined ? undefined : nodeNamed(subject, bridge.nodes)
  const found: Finding[] = []
  if (node === undefined && probes.tried.length === 0 && bridge !== undefined) {
    found.push({
      level: 'problem', about: printable(subject), detail: 'the bridge has never heard of a node of this name',
      next: 'compare the mesh key fingerprints ("skein doctor" on both), then give its address: skein doctor /ip4/…/tcp/4747, skein start --join …',
    })
  } else if (node !== undefined) {
    found.push({ level: node.state === 'connected' ? 'good' : 'note', about: named(node), detail: node.self ? 'it is the node behind this bridge' : `it is ${node.state}` })
  }
  for (const { addr, outcome } of probes.tried) {
    found.push(outcome === 'open'
      ? { level: 'good', about: printable(addr), detail: 'something listens there, seen from this machine', next: 'if the nodes still do not connect, their mesh keys differ: compare the fingerprints' }
      : { level: 'problem', about: printable(addr), detail: `${outcome} (tried from this machine)`, next: adviceFor(outcome.startsWith('connection refused') ? 'refused' : outcome.startsWith('no route') ? 'no-route' : 'timeout') })
  }
  return found
}

function nextOf(fault: { readonly next?: string | undefined }): { next?: string } {
  return fault.next === undefined ? {} : { next: fault.next }
}
