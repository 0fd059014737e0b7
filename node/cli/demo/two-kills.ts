/** Kills a worker at work and starts it again, then kills the mission's owner for good. */
import type { IndexedEvent } from '../../../protocols/tasking/schema.ts'
import { toFault } from '../../../protocols/kernel/errors.ts'
import type { Voice } from '../context.ts'
import type { LocalMesh, MeshMember } from '../local-mesh.ts'
import { joined } from '../mesh-joined.ts'
import { counted } from '../view/format.ts'
import type { MissionProgress } from '../view/mission-progress.ts'
import { chooseWorker, isOwnersMoment } from './caught-in-the-act.ts'
import { type OwnerDeath, type Victim, type WorkerDeath, backWords, leftWords, ownerDeath, ownerLine, witnessOwner, witnessWorker, workerDeath, workerLine } from './deaths.ts'

export interface TwoKillsInit {
  readonly mesh: LocalMesh
  readonly voice: Voice
  readonly print: (line: string) => void
  /** The bridge that is followed first: it dies as the owner, not as the worker. */
  readonly bridge: MeshMember
  readonly signal: AbortSignal
}

export interface TwoKills {
  readonly worker: WorkerDeath | undefined
  readonly owner: OwnerDeath | undefined
  /** From now on a majority keeps the mission without its owner. */
  ownerMayDie(): void
  /** Something is new: perhaps this is the moment. */
  look(progress: MissionProgress): void
  onEvent(event: IndexedEvent['event'], progress: MissionProgress): void
  /** Fulfilled when a node that nobody killed is gone, with its name. */
  readonly unexpectedEnd: Promise<string>
  /** Nodes may end from now on. Fulfilled when the worker is back, or it is known that it will not be. */
  over(): Promise<void>
}

export function twoKills({ mesh, voice, print, bridge, signal }: TwoKillsInit): TwoKills {
  const { colours } = voice
  const killed = new Set<number>()
  let worker: WorkerDeath | undefined
  let owner: OwnerDeath | undefined
  let ownerMayDie = false
  let isOver = false
  let restarted: Promise<void> = Promise.resolve()
  let newest: MissionProgress | undefined
  let onUnexpectedEnd: (name: string) => void = () => undefined
  const unexpectedEnd = new Promise<string>((resolve) => { onUnexpectedEnd = resolve })
  for (const member of mesh.members) watchEnd(member)

  function watchEnd(member: MeshMember): void {
    void member.exited.then(() => {
      if (!isOver && !killed.has(member.pid)) onUnexpectedEnd(member.name)
    })
  }

  function kill({ pid, name, peerId }: MeshMember): Victim {
    killed.add(pid)
    mesh.kill(name)
    return { peer: peerId, name, killedAtWallMs: Date.now() }
  }

  async function bringBack(death: WorkerDeath): Promise<void> {
    try {
      watchEnd(await mesh.restart(death.name))
      await joined(mesh.members.filter(({ name }) => mesh.isAlive(name)), signal)
      death.backAfterMs = Date.now() - death.killedAtWallMs
      if (!signal.aborted) print(colours.green(backWords(death)))
      if (newest !== undefined) look(newest)
    } catch (thrown) {
      death.notBack = toFault(thrown).detail
    }
  }

  function look(progress: MissionProgress): void {
    newest = progress
    if (isOver) return
    if (worker === undefined) perhapsKillWorker(progress)
    else if (owner === undefined && ownerMayDie && (worker.takeover !== undefined || worker.backAfterMs !== undefined)) perhapsKillOwner(progress)
  }

  function perhapsKillWorker(progress: MissionProgress): void {
    const candidates = mesh.members.filter(({ peerId }) => peerId !== bridge.peerId && peerId !== progress.fold?.owner)
    const peer = chooseWorker(progress, candidates.map(({ peerId }) => peerId))
    const member = candidates.find(({ peerId }) => peerId === peer)
    if (member === undefined) return
    worker = workerDeath(progress, kill(member))
    print(colours.yellow(`kill -9 ${member.pid}: ${member.name} dies in the middle of ${counted(worker.lost.size, 'task')}; it is started again`))
    restarted = bringBack(worker)
  }

  function perhapsKillOwner(progress: MissionProgress): void {
    if (!isOwnersMoment(progress, worker?.backAfterMs !== undefined)) return
    const member = mesh.members.find(({ peerId, name }) => peerId === progress.fold?.owner && mesh.isAlive(name))
    if (member === undefined) return
    owner = ownerDeath(progress, kill(member))
    print(colours.yellow(`kill -9 ${member.pid}: ${member.name}, which leads the mission, dies for good: ${leftWords(owner.left)}`))
  }

  return {
    get worker() {
      return worker
    },
    get owner() {
      return owner
    },
    ownerMayDie() {
      ownerMayDie = true
      if (newest !== undefined) look(newest)
    },
    look,
    onEvent(event, progress) {
      if (worker !== undefined && witnessWorker(worker, event, progress)) print(colours.green(workerLine(progress, worker)))
      if (owner !== undefined && witnessOwner(owner, event, (peer) => mesh.members.find(({ peerId }) => peerId === peer)?.name ?? peer)) print(colours.green(ownerLine(progress, owner)))
      look(progress)
    },
    unexpectedEnd,
    async over() {
      isOver = true
      await restarted
    },
  }
}
