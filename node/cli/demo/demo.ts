/** What somebody shows a friend: three real nodes, a real mission, a killed worker, a report. */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat, access, constants } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { type BlobRef, isBlobRef } from '../../../protocols/kernel/payload.ts'
import type { ResultView } from '../../../protocols/tasking/views.ts'
import { packFolder } from '../../folders/pack-folder.ts'
import { type MeshClient, type MissionRequestInput, createMeshClient } from '../../http/client.ts'
import { saveArtifacts, upload } from '../blob-transfer.ts'
import { missionDocument, resultText } from '../commands/run.ts'
import type { CliWorld, Voice } from '../context.ts'
import { type ExitCode, exitCodeOfState, exitCodes } from '../exit-codes.ts'
import { detachable, follow } from '../follow.ts'
import { type LocalMesh, type MeshMember, startLocalMesh } from '../local-mesh.ts'
import { joined } from '../mesh-joined.ts'
import { counted, seconds, size } from '../view/format.ts'
import { type MissionProgress, tallies } from '../view/mission-progress.ts'
import { table } from '../view/table.ts'
import { type Death, chooseVictim, deathLine, deathOf, witness } from './caught-in-the-act.ts'
import { exampleOfAnAward } from './example-award.ts'

export interface DemoOptions {
  readonly path: string
  readonly keep: boolean
  /** Where the report goes, when it is writable. */
  readonly reportFolder: string
}

/** @throws MeshError when the folder is missing or three nodes cannot be started; everything is cleaned up by then. */
export async function runDemo(options: DemoOptions, voice: Voice, world: CliWorld): Promise<ExitCode> {
  await checkFolder(options.path)
  const interrupt = detachable()
  const dataDir = await mkdtemp(join(tmpdir(), 'skein-demo-'))
  let mesh: LocalMesh | undefined
  try {
    voice.say(voice.colours.bold('Starting three nodes on this machine …'))
    mesh = await startLocalMesh({
      // More slots than a small folder has tasks: whoever survives has one free for what the dead node leaves.
      count: 3, dataDir, bin: world.bin, env: withoutSecrets(world.env), flags: ['--slots', '5'], signal: interrupt.signal,
      // Kept up, it is there to be joined; otherwise it is nobody's business but this machine's.
      ...(options.keep ? { firstHost: '0.0.0.0' } : {}),
    })
    await joined(mesh.members, interrupt.signal)
    voice.say(meshTable(mesh.members, voice))
    const code = await showMission(mesh, options, voice, world, interrupt.signal)
    if (options.keep && !interrupt.signal.aborted) await keepUp(mesh, interrupt.signal, voice, world)
    return interrupt.signal.aborted && !options.keep ? exitCodes.detached : code
  } catch (thrown) {
    if (interrupt.signal.aborted) return exitCodes.detached
    throw thrown
  } finally {
    interrupt.close()
    await mesh?.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function checkFolder(path: string): Promise<void> {
  const isFolder = await stat(path).then((found) => found.isDirectory(), () => undefined)
  if (isFolder === true) return
  throw new MeshError('bad-input', isFolder === undefined ? `there is no folder at ${path}` : `${path} is not a folder`, { next: 'give a folder: npm start -- PATH' })
}

/** No model key and no other secret of the environment reaches the nodes: nothing here needs one. */
function withoutSecrets(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$/i.test(name)))
}

async function showMission(mesh: LocalMesh, options: DemoOptions, voice: Voice, world: CliWorld, signal: AbortSignal): Promise<ExitCode> {
  const [bridge] = mesh.members
  if (bridge === undefined) throw new MeshError('internal', 'a mesh without nodes')
  const client = createMeshClient(bridge.http)
  voice.say(`\nUploading ${options.path} to ${bridge.name} …`)
  const folder = await packFolder(options.path, { put: (bytes, about) => upload(client, bytes, about, signal), signal })
  voice.say(`${counted(folder.files, 'file')}, ${size(folder.sizeBytes)}. Submitting repo.report over HTTP.\n`)
  const request = { capability: 'repo.report', input: { folder }, name: `report on ${basename(options.path)}`.slice(0, 128) } as unknown as MissionRequestInput
  const { id } = await client.submit(request, { key: randomUUID(), signal })

  let death: Death | undefined
  let print: (line: string) => void = voice.say
  const candidates = mesh.members.slice(1).map((member) => member.peerId)
  const perhapsKill = (progress: MissionProgress): void => {
    if (death !== undefined) return
    const peer = chooseVictim(progress, candidates)
    const victim = mesh.members.find((member) => member.peerId === peer)
    if (victim === undefined) return
    mesh.kill(victim.name)
    death = deathOf(progress, victim.peerId, victim.name, Date.now() + clockAhead(progress))
    print(voice.colours.yellow(`kill -9 ${victim.pid}: ${victim.name} dies in the middle of ${counted(death.lost.size, 'task')}`))
  }
  const ended = unexpectedEnd(mesh.members, () => death?.name)
  const crash = new AbortController()
  void ended.promise.then(() => crash.abort())
  const { progress, state } = await follow(client, id, voice, world, {
    signal: AbortSignal.any([signal, crash.signal]),
    onScreen: (printer) => { print = printer },
    onNote: (_note, seen) => perhapsKill(seen),
    onEvent: ({ event }, seen) => {
      if (death !== undefined && witness(death, event, seen)) print(voice.colours.green(deathLine(seen, death)))
      perhapsKill(seen)
    },
  })
  ended.ignore()
  if (signal.aborted) return exitCodes.detached
  if (state === undefined) throw new MeshError('lost-worker', `${ended.who() ?? 'a node'} ended by itself in the middle of the demo`, { next: 'run it again; if it happens again, skein up -n 3 shows what the nodes say' })

  const [view, result] = await Promise.all([client.mission(id), client.result(id)])
  const files = await saveReport(client, result, options.reportFolder)
  voice.value({ ...missionDocument(view, result, files), kill: killDocument(progress, death), nodes: nodeDocuments(mesh.members, progress) })
  voice.say('')
  if (view.state === 'completed') voice.print(resultText(result.result as Parameters<typeof resultText>[0]))
  else voice.print(`${view.state}: ${result.fault?.detail ?? view.fault?.detail ?? ''}`)
  voice.say(`\n${voice.colours.bold(deathLine(progress, death))}`)
  const example = exampleOfAnAward(progress)
  if (example !== undefined) voice.say(example)
  voice.say(`\n${tallyTable(mesh.members, progress, death, voice)}`)
  if (files.length > 0) voice.print(`\nThe full report: ${files.join('\n                 ')}`)
  voice.say(joinLines(mesh, options, world))
  return exitCodeOfState(view.state)
}

function clockAhead(progress: MissionProgress): number {
  // All clocks are this machine's; what an event's way here took is no difference of clocks.
  return Math.max(0, progress.clockAheadMs)
}

/** Fulfilled when a node that nobody killed is gone. */
function unexpectedEnd(members: readonly MeshMember[], killed: () => string | undefined): { promise: Promise<void>; ignore(): void; who(): string | undefined } {
  let ignored = false
  let who: string | undefined
  const promise = new Promise<void>((done) => {
    for (const member of members) {
      void member.exited.then(() => {
        if (ignored || killed() === member.name) return
        who = member.name
        done()
      })
    }
  })
  return { promise, ignore: () => { ignored = true }, who: () => who }
}

async function saveReport(client: MeshClient, result: ResultView, wanted: string): Promise<string[]> {
  const output = typeof result.result === 'object' && result.result !== null ? result.result as Record<string, unknown> : {}
  const named = Object.entries({ html: 'report.html', markdown: 'report.md', json: 'report.json' })
    .flatMap(([key, name]): BlobRef[] => (isBlobRef(output[key]) ? [{ ...output[key], name }] : []))
  if (named.length === 0) return []
  return saveArtifacts(client, named, await writableFolder(wanted))
}

async function writableFolder(wanted: string): Promise<string> {
  try {
    await mkdir(wanted, { recursive: true })
    await access(wanted, constants.W_OK)
    return wanted
  } catch {
    return mkdtemp(join(tmpdir(), 'skein-report-'))
  }
}

function meshTable(members: readonly MeshMember[], voice: Voice): string {
  const rows = members.map((member) => [member.name, `process ${member.pid}`, member.http, voice.colours.dim(member.peerId)])
  return table(rows, voice.columns).join('\n')
}

interface NodeDocument {
  readonly name: string
  readonly leavesRun: number
  readonly busyMs: number
  readonly bidsMade: number
  readonly bidsWon: number
}

function nodeDocuments(members: readonly MeshMember[], progress: MissionProgress): NodeDocument[] {
  const byPeer = tallies(progress)
  return members.map(({ name, peerId }) => {
    const { leavesRun, busyMs, bidsMade, bidsWon } = byPeer.get(peerId) ?? { leavesRun: 0, busyMs: 0, bidsMade: 0, bidsWon: 0 }
    return { name, leavesRun, busyMs, bidsMade, bidsWon }
  })
}

function killDocument(progress: MissionProgress, death: Death | undefined): unknown {
  if (death === undefined) return null
  return {
    node: death.name, atMs: death.killedAtWallMs - (progress.fold?.submittedAtWallMs ?? death.killedAtWallMs), tasksLost: [...death.lost],
    takeover: death.takeover ?? null, finishedTasksRepeated: progress.repeated,
  }
}

function tallyTable(members: readonly MeshMember[], progress: MissionProgress, death: Death | undefined, voice: Voice): string {
  const rows = nodeDocuments(members, progress).map((node) => [
    node.name, counted(node.leavesRun, 'leaf').replace('leafs', 'leaves'), seconds(node.busyMs), String(node.bidsMade), String(node.bidsWon), node.name === death?.name ? voice.colours.yellow('killed') : '',
  ])
  return table([['NODE', 'RAN', 'BUSY', 'BIDS', 'WON', ''], ...rows], voice.columns, voice.colours.dim).join('\n')
}

function joinLines(mesh: LocalMesh, { keep }: DemoOptions, world: CliWorld): string {
  const skein = commandFor(world)
  if (keep) return `\nA second machine joins this mesh with this line (keep it like a password):\n  ${skein} join ${mesh.invite}`
  return [
    '\nA second machine joins with one line. These nodes stop now; a node that stays prints its own:',
    `  here:   ${skein} start`,
    `  there:  ${skein} join skein://…   the line it printed`,
  ].join('\n')
}

/** How this program is called from where the person is: in a clone there is no `skein` to be found. */
function commandFor(world: CliWorld): string {
  const isClone = existsSync(join(dirname(dirname(world.bin)), 'node', 'cli', 'main.ts'))
  return isClone ? `node ${relative(personsFolder(world), world.bin)}` : 'skein'
}

async function keepUp(mesh: LocalMesh, signal: AbortSignal, voice: Voice, world: CliWorld): Promise<void> {
  const members = mesh.members.filter((member) => mesh.isAlive(member.name))
  voice.print(`\nThe mesh stays up. Its bridges: ${members.map((member) => `${member.http} (${member.name})`).join(', ')}`)
  voice.print(`  ${commandFor(world)} nodes --url ${members[0]?.http ?? ''}\nCtrl-C stops it.`)
  await new Promise<void>((done) => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
}

/** `npm start` runs in the package's folder; the person may be in another. */
export function personsFolder(world: CliWorld): string {
  const initial = world.env['INIT_CWD']
  return world.env['npm_lifecycle_event'] === 'start' && initial !== undefined ? initial : resolve(world.cwd)
}
