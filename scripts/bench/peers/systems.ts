/** A peer as a system of tasks: its broker if it has one, one process that submits and two that work. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { nextReply } from '../child-reply.ts'
import { type TaskSystem, workerCount } from '../tasks/system.ts'
import type { PeerAsk, PeerPlace, PeerReply, PeerRole } from './load.ts'

const askPatienceMs = 120_000
const endPatienceMs = 5_000

export interface PeerUnderLoad {
  readonly system: TaskSystem
  stop(): Promise<void>
}

interface PeerProcess {
  readonly child: ChildProcess
  ask(ask: PeerAsk): Promise<readonly number[]>
}

/** @param broker the pid of its broker, where it has one. */
export async function startPeer(name: string, place: PeerPlace, broker: number | undefined): Promise<PeerUnderLoad> {
  const processes: PeerProcess[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(processes.toReversed().map(endProcess))
  }
  try {
    // The submitter first: it makes what the workers take from.
    for (let number = 0; number <= workerCount; number++) processes.push(await startProcess(place, number))
    const [submitter] = processes
    if (submitter === undefined) throw new Error('there is no submitter')
    await submitter.ask({ op: 'await-workers' })
    const system: TaskSystem = {
      name,
      processes: [
        ...processes.map(({ child }, number) => ({ name: number === 0 ? 'submitter' : 'workers', pid: child.pid ?? 0 })),
        ...(broker === undefined ? [] : [{ name: 'broker', pid: broker }]),
      ],
      async saturate(tasks) {
        return { tookMs: await only(submitter.ask({ op: 'saturate', tasks })) }
      },
      async oneByOne(tasks) {
        return { timesMs: await submitter.ask({ op: 'one-by-one', tasks }) }
      },
      fanOut: (tasks, ms) => only(submitter.ask({ op: 'fan-out', tasks, ms })),
    }
    return { system, stop }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

async function only(times: Promise<readonly number[]>): Promise<number> {
  return (await times)[0] ?? Number.NaN
}

async function startProcess(place: PeerPlace, number: number): Promise<PeerProcess> {
  const role: PeerRole = { place, number }
  const child = fork(fileURLToPath(new URL('./role.ts', import.meta.url)), [JSON.stringify(role)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  await reply(child, `start process ${number}`)
  return {
    child,
    async ask(ask) {
      const answer = reply(child, ask.op)
      child.send(ask)
      const got = await answer
      return 'timesMs' in got ? got.timesMs : []
    },
  }
}

function reply(child: ChildProcess, what: string) {
  return nextReply<PeerReply>(child, "a peer's process", what, askPatienceMs)
}

async function endProcess({ child, ask }: PeerProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const over = new Promise((done) => child.once('exit', done))
  const force = setTimeout(() => child.kill('SIGKILL'), endPatienceMs)
  await Promise.race([over, ask({ op: 'end' }).catch(() => undefined)])
  // What still holds a connection ends with the channel.
  if (child.connected) child.disconnect()
  await over
  clearTimeout(force)
}
