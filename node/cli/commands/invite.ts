/** `invite`: the line that joins another machine. */
import type { Command } from 'commander'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { createInvite, fingerprintOf, readMeshKey } from '../../mesh-key.ts'
import { type Cli, act, withCommon } from '../cli.ts'
import { dataDirOf } from '../connection.ts'
import type { CommonFlags } from '../context.ts'
import { readRunFile } from '../run-file.ts'

interface InviteFlags extends CommonFlags {
  readonly data?: string
}

export function addInviteCommand(program: Command, cli: Cli): void {
  const invite = program.command('invite').description('the line that joins another machine (keep it like a password)')
    .option('--data <folder>', "data directory of this machine's node")
  withCommon(invite).action(act<InviteFlags>(cli, async ({ flags, voice, world }) => {
    const dataDir = await dataDirOf(flags, world)
    const meshKey = await readMeshKey(dataDir)
    if (meshKey === undefined) throw new MeshError('wrong-state', `there is no mesh in ${dataDir} yet`, { next: 'the first "skein start" makes one' })
    const run = await readRunFile(dataDir)
    const line = createInvite({ meshKey, addrs: run?.addrs ?? [], ...(run === undefined ? {} : { name: run.name }) })
    voice.value({ invite: line, fingerprint: fingerprintOf(meshKey), addrs: run?.addrs ?? [] })
    voice.print(`skein join ${line}`)
    if (run === undefined && !voice.quiet) voice.warn('skein: no node runs here now, so the line names no address: it works where mDNS does, or with --join <address> beside it')
  }))
}
