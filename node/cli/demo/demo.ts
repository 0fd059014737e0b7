/** What somebody shows a friend: three real nodes, a real mission, a killed worker, a killed owner, a report. */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat, access, constants } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import type { MissionId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
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
import { type OwnerDeath, type WorkerDeath, ownerLine, repeatedWords, workerLine } from './deaths.ts'
import { exampleOfAnAward } from './example-award.ts'
import { type TwoKills, twoKills } from './two-kills.ts'
import { type WhatRan, watchWhatRan } from './what-ran.ts'

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
    const whatRan = watchWhatRan()
    mesh = await startLocalMesh({
      // One slot each: some tasks run and others wait for most of the mission, and that is when a death shows what it does.
      count: 3, dataDir, bin: world.bin, env: withoutSecrets(world.env), flags: ['--slots', '1'], signal: interrupt.signal,
      onLog: (_name, line) => whatRan.hear(line),
      // Kept up, it is there to be joined; otherwise it is nobody's business but this machine's.
      ...(options.keep ? { listenHost: '0.0.0.0' } : {}),
    })
    await joined(mesh.members, interrupt.signal)
    voice.say(meshTable(mesh.members, voice))
    const code = await showMission({ mesh, whatRan, options, voice, world, signal: interrupt.signal })
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

/** No model, no key and no other secret of the environment reaches the nodes: nothing here needs one. */
function withoutSecrets(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name !== 'SKEIN_LLM_URL' && !/(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$/i.test(name)))
}

interface Show {
  readonly mesh: LocalMesh
  readonly whatRan: WhatRan
  readonly options: DemoOptions
  readonly voice: Voice
  readonly world: CliWorld
  readonly signal: AbortSignal
}

async function showMission({ mesh, whatRan, options, voice, world, signal }: Show): Promise<ExitCode> {
  const [bridge] = mesh.members
  if (bridge === undefined) throw new MeshError('internal', 'a mesh without nodes')
  const client = createMeshClient(bridge.http)
  voice.say(`\nUploading ${options.path} to ${bridge.name} …`)
  const folder = await packFolder(options.path, { put: (bytes, about) => upload(client, bytes, about, signal), signal })
  voice.say(`${counted(folder.files, 'file')}, ${size(folder.sizeBytes)}. Submitting repo.report over HTTP to ${bridge.name}.\n`)
  const request = { capability: 'repo.report', input: { folder }, name: `report on ${basename(options.path)}`.slice(0, 128) } as unknown as MissionRequestInput
  const { id } = await client.submit(request, { key: randomUUID(), signal })

  let print: (line: string) => void = voice.say
  const kills = twoKills({ mesh, voice, print: (line) => print(line), bridge, signal })
  let ended: string | undefined
  const over = new AbortController()
  void kills.unexpectedEnd.then((name) => {
    ended = name
    over.abort()
  })
  const either = AbortSignal.any([signal, over.signal])
  void keptByThree(client, id, either).then((isKept) => { if (isKept) kills.ownerMayDie() })
  const { progress, state } = await follow(client, id, voice, world, {
    signal: either,
    onScreen: (printer) => { print = printer },
    onNote: (_note, seen) => kills.look(seen),
    onEvent: ({ event }, seen) => kills.onEvent(event, seen),
  })
  print = voice.say
  if (state !== undefined) await kills.over()
  over.abort()
  if (signal.aborted) return exitCodes.detached
  if (state === undefined) throw new MeshError('lost-worker', `${ended ?? 'a node'} ended by itself in the middle of the demo`, { next: 'run it again; if it happens again, skein up -n 3 shows what the nodes say' })

  const [view, result] = await Promise.all([client.mission(id), client.result(id)])
  const files = await saveReport(client, result, options.reportFolder)
  const repeated = whatRan.repeated(progress)
  voice.value({ ...missionDocument(view, result, files), kills: killsDocument(progress, kills, repeated), nodes: nodeDocuments(mesh.members, progress) })
  voice.say('')
  if (view.state === 'completed') voice.print(resultText(result.result as Parameters<typeof resultText>[0]))
  else voice.print(`${view.state}: ${result.fault?.detail ?? view.fault?.detail ?? ''}`)
  voice.say(`\n${voice.colours.bold(workerLine(progress, kills.worker))}`)
  voice.say(voice.colours.bold(`${ownerLine(progress, kills.owner)} · ${repeatedWords(repeated)}`))
  const example = exampleOfAnAward(progress)
  if (example !== undefined) voice.say(example)
  voice.say(`\n${tallyTable(mesh, progress, kills, voice)}`)
  if (files.length > 0) voice.print(`\nThe full report: ${files.join('\n                 ')}`)
  voice.say(joinLines(mesh, options, world))
  return exitCodeOfState(view.state)
}

/** Not before a majority can do without it may the owner be killed. */
async function keptByThree(client: MeshClient, id: MissionId, signal: AbortSignal): Promise<boolean> {
  for (; !signal.aborted; await sleep(200)) {
    const view = await client.mission(id).catch(() => undefined)
    if ((view?.members ?? []).filter(({ votes }) => votes).length >= limits.votersAimed) return true
  }
  return false
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

function killsDocument(progress: MissionProgress, { worker, owner }: { readonly worker: WorkerDeath | undefined; readonly owner: OwnerDeath | undefined }, finishedTasksRepeated: number): unknown {
  const atMs = (killedAtWallMs: number): number => killedAtWallMs - (progress.fold?.submittedAtWallMs ?? killedAtWallMs)
  return {
    worker: worker === undefined ? null : { node: worker.name, atMs: atMs(worker.killedAtWallMs), tasksLost: [...worker.lost], takeover: worker.takeover ?? null, backAfterMs: worker.backAfterMs ?? null },
    owner: owner === undefined ? null : { node: owner.name, atMs: atMs(owner.killedAtWallMs), left: owner.left, successor: owner.successor ?? null },
    finishedTasksRepeated,
  }
}

function tallyTable(mesh: LocalMesh, progress: MissionProgress, { worker, owner }: TwoKills, voice: Voice): string {
  const { yellow, green } = voice.colours
  const fateOf = (name: string): string => {
    if (name === owner?.name) return yellow('killed for good')
    if (name !== worker?.name) return ''
    return mesh.isAlive(name) ? `${yellow('killed')}, ${green('back')}` : yellow('killed')
  }
  const rows = nodeDocuments(mesh.members, progress).map((node) => [
    node.name, counted(node.leavesRun, 'leaf').replace('leafs', 'leaves'), seconds(node.busyMs), String(node.bidsMade), String(node.bidsWon), fateOf(node.name),
  ])
  return table([['NODE', 'RAN', 'BUSY', 'BIDS', 'WON', ''], ...rows], voice.columns, voice.colours.dim).join('\n')
}

function joinLines(mesh: LocalMesh, { keep }: DemoOptions, world: CliWorld): string {
  const skein = commandFor(world)
  if (keep) return `\nA second machine joins this mesh with this line (keep it like a password):\n  ${skein} join ${mesh.invite()}`
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
