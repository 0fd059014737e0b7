/** `up`: a mesh of real processes on this machine, until Ctrl-C. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { type Cli, act, collect, withCommon } from '../cli.ts'
import type { CliWorld, CommonFlags, Voice } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { detachable } from '../follow.ts'
import { type MeshMember, startLocalMesh } from '../local-mesh.ts'
import { joined } from '../mesh-joined.ts'
import { counted } from '../view/format.ts'
import { table } from '../view/table.ts'
import { wholeNumber } from './run.ts'

interface UpFlags extends CommonFlags {
  readonly nodes?: string
  readonly data?: string
  readonly skill?: readonly string[]
  readonly slots?: string
}

export function addUpCommand(program: Command, cli: Cli): void {
  const up = program.command('up').description('a mesh of real node processes on this machine, until Ctrl-C')
    .option('-n, --nodes <n>', 'how many', '3')
    .option('--data <folder>', 'keep their data here (default: a temporary folder)')
    .option('--slots <n>', 'tasks that each runs at the same time (default: cores)')
    .option('--skill <file or package>', 'load skills from it on every node; may be repeated', collect)
  withCommon(up).action(act<UpFlags>(cli, ({ flags, voice, world }) => runMesh(flags, voice, world)))
}

async function runMesh(flags: UpFlags, voice: Voice, world: CliWorld): Promise<ExitCode> {
  const count = wholeNumber('--nodes', flags.nodes ?? '3', 1, 64)
  const interrupt = detachable()
  const dataDir = flags.data === undefined ? await mkdtemp(join(tmpdir(), 'skein-up-')) : resolve(world.cwd, flags.data)
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    voice.say(voice.colours.dim(`starting ${counted(count, 'node')} …`))
    const mesh = await startLocalMesh({
      count, dataDir, bin: world.bin, env: world.env, cwd: world.cwd, firstOnDefaultPorts: true, signal: interrupt.signal,
      flags: [...(flags.slots === undefined ? [] : ['--slots', flags.slots]), ...(flags.skill ?? []).flatMap((skill) => ['--skill', skill])],
    })
    try {
      await joined(mesh.members, interrupt.signal)
      announce(mesh.members, mesh.invite(), voice)
      await untilOver(mesh.members, interrupt.signal, voice)
      voice.say('stopping')
    } finally {
      await mesh.stop()
    }
    return exitCodes.completed
  } finally {
    interrupt.close()
    if (flags.data === undefined) await rm(dataDir, { recursive: true, force: true })
  }
}

function announce(members: readonly MeshMember[], invite: string, voice: Voice): void {
  voice.value({ event: 'ready', nodes: members.map(({ name, pid, peerId, http }) => ({ name, pid, peerId, http })) })
  const rows = members.map((member) => [member.name, String(member.pid), member.http, member.peerId])
  voice.print(table([['NODE', 'PROCESS', 'BRIDGE', 'PEER'], ...rows], voice.columns, voice.colours.dim).join('\n'))
  voice.say(`\nTry:  skein run repo.report --input path=. --url ${members[0]?.http ?? ''}`)
  voice.say(`Another node on this machine joins with:  skein join ${invite} --data <folder>`)
  voice.say('Ctrl-C stops all of them.')
}

/** Until somebody asks to stop, or no node is left. */
async function untilOver(members: readonly MeshMember[], signal: AbortSignal, voice: Voice): Promise<void> {
  let left = members.length
  await new Promise<void>((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    for (const member of members) {
      void member.exited.then(({ code, signal: killedBy }) => {
        if (signal.aborted) return
        voice.warn(`${member.name} ended (${killedBy ?? `exit code ${String(code)}`})`)
        left -= 1
        if (left === 0) resolve()
      })
    }
  })
}
