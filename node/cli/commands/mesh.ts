/** `nodes`, `capabilities`, `top`: what the mesh is made of and what it does now. */
import type { Command } from 'commander'
import type { CapabilityView, NodeView } from '../../../protocols/capability/views.ts'
import { toFault } from '../../../protocols/kernel/errors.ts'
import type { MissionView, QueueView } from '../../../protocols/tasking/views.ts'
import type { MeshClient } from '../../http/client.ts'
import { type Cli, type TalkFlags, act, withTalk } from '../cli.ts'
import { connect } from '../connection.ts'
import { detachable } from '../follow.ts'
import type { Colours } from '../view/colours.ts'
import { counted, printable, seconds, shortPeer, size } from '../view/format.ts'
import { livePane } from '../view/live-pane.ts'
import { table } from '../view/table.ts'

const topRefreshMs = 1_000

export function addMeshCommands(program: Command, cli: Cli): void {
  program.commandsGroup('The mesh:')
  withTalk(program.command('nodes').description('the nodes, what they are doing and what they have')).action(act<TalkFlags>(cli, async ({ flags, voice, world }) => {
    const { client } = await connect(flags, world)
    const nodes = await client.nodes()
    voice.value(nodes)
    voice.print(nodeLines(nodes, voice.columns, voice.colours).join('\n'))
    if (nodes.some((node) => node.fault !== undefined || node.state === 'gone' || node.state === 'known')) voice.say(voice.colours.dim('"skein doctor" says more about the ones that are not connected'))
  }))
  withTalk(program.command('capabilities').description('what the mesh can do, and who offers it')).action(act<TalkFlags>(cli, async ({ flags, voice, world }) => {
    const { client } = await connect(flags, world)
    const capabilities = await client.capabilities()
    voice.value(capabilities)
    voice.print(capabilityLines(capabilities, voice.columns, voice.colours).join('\n'))
  }))
  withTalk(program.command('top').description('nodes, running tasks and missions, refreshed (once when not on a terminal)')).action(act<TalkFlags>(cli, async ({ flags, voice, world }) => {
    const { client } = await connect(flags, world)
    let now = await snapshot(client)
    voice.value(now)
    if (!voice.isLive) return voice.print(topLines(now, voice.columns, 1_000, voice.colours).join('\n'))
    const interrupt = detachable()
    let trouble: string | undefined
    const pane = livePane(world.stdout, (columns, rows) => [...(trouble === undefined ? [] : [voice.colours.red(trouble)]), ...topLines(now, columns, rows - 1, voice.colours)])
    try {
      while (!interrupt.signal.aborted) {
        pane.refresh()
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, topRefreshMs)
          interrupt.signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true })
        })
        try {
          now = await snapshot(client)
          trouble = undefined
        } catch (thrown) {
          trouble = toFault(thrown).detail
        }
      }
    } finally {
      interrupt.close()
      pane.finish()
    }
  }))
}

interface Snapshot {
  readonly nodes: readonly NodeView[]
  readonly queue: readonly QueueView[]
  readonly missions: readonly MissionView[]
}

async function snapshot(client: MeshClient): Promise<Snapshot> {
  const [nodes, queue, missions] = await Promise.all([client.nodes(), client.queue(), client.missions(20)])
  return { nodes, queue, missions }
}

/** @returns a heading and a line per node. */
export function nodeLines(nodes: readonly NodeView[], columns: number, colours: Colours): string[] {
  const rows = nodes.map((node) => {
    const { advert } = node
    const gpus = advert?.gpus.map((gpu) => `${printable(gpu.model)} ${size(gpu.vramFreeBytes)} free`).join(', ') ?? ''
    return [
      `${printable(node.name)}${node.self ? ' (here)' : ''}`,
      node.state === 'connected' ? colours.green(node.state) : node.state === 'known' ? node.state : colours.yellow(node.state),
      shortPeer(node.peerId),
      advert === undefined ? '' : `${advert.load.slotsBusy}/${advert.load.slots}`,
      advert === undefined ? '' : advert.load.cpu.toFixed(2),
      advert === undefined ? '' : `${advert.environment.cores} cores, ${size(advert.environment.memoryBytes)}${gpus === '' ? '' : `, ${gpus}`}`,
      node.fault !== undefined ? colours.yellow(printable(node.fault.detail)) : advert === undefined ? '' : counted(advert.capabilities.length, 'capability').replace('capabilitys', 'capabilities'),
    ]
  })
  return table([['NODE', 'STATE', 'PEER', 'SLOTS', 'LOAD', 'MACHINE', ''], ...rows], columns, colours.dim)
}

function capabilityLines(capabilities: readonly CapabilityView[], columns: number, colours: Colours): string[] {
  if (capabilities.length === 0) return ['no live node offers anything']
  const rows = capabilities.map((capability) => [
    capability.name, capability.version, capability.kind, capability.effects === 'external' ? 'external effects' : '',
    capability.providers.map((provider) => printable(provider.name)).slice(0, 5).join(', ') + (capability.providers.length > 5 ? `, … (${capability.providers.length})` : ''),
    printable(capability.summary),
  ])
  return table([['CAPABILITY', 'VERSION', 'KIND', '', 'NODES', ''], ...rows], columns, colours.dim)
}

function topLines({ nodes, queue, missions }: Snapshot, columns: number, rows: number, colours: Colours): string[] {
  const nameOf = new Map(nodes.map((node) => [node.peerId, printable(node.name)]))
  const running = queue.flatMap((entry) => entry.running.map((task) => [nameOf.get(entry.node) ?? shortPeer(entry.node), task.capability, seconds(task.runningMs), task.principal, task.awardId]))
  const waiting = queue.reduce((sum, entry) => sum + entry.waiting.length, 0)
  const open = missions.filter((mission) => mission.endedAtWallMs === undefined)
  const lines = [
    ...nodeLines(nodes, columns, colours), '',
    colours.bold(`${counted(running.length, 'task')} running, ${waiting} waiting`),
    ...(running.length === 0 ? [] : table([['NODE', 'CAPABILITY', 'FOR', 'WHOM', 'AWARD'], ...running], columns, colours.dim)), '',
    colours.bold(counted(open.length, 'open mission')),
    ...open.map((mission) => `${mission.id}  ${mission.state}  ${printable(mission.name)}${mission.waitingFor === undefined ? '' : `  ${printable(mission.waitingFor)}`}`),
  ]
  return lines.length <= rows ? lines : [...lines.slice(0, rows - 1), colours.dim(`… ${lines.length - rows + 1} more lines`)]
}
