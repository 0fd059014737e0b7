/** `store verify` and `store compact`: what a stopped node of this machine keeps. */
import type { Command } from 'commander'
import { compactStore } from '../../storage/store-compaction.ts'
import { type StoreVerified, verifyStore } from '../../storage/store-verification.ts'
import { type Cli, act, withCommon } from '../cli.ts'
import type { CommonFlags } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Colours } from '../view/colours.ts'
import { counted, printable, size } from '../view/format.ts'
import { configOf } from './start.ts'

interface StoreFlags extends CommonFlags {
  readonly data?: string
  readonly config?: string
}

export function addStoreCommands(program: Command, cli: Cli): void {
  const store = program.command('store').description('what a stopped node keeps on this disk')
  const own = (command: Command): Command => withCommon(command.optionsGroup('Which node:').option('--data <folder>', 'its data directory').option('--config <file>', 'read this configuration file and no other (SKEIN_CONFIG)'))

  own(store.command('verify').description('measure every log, archive and blob against what was promised; changes nothing'))
    .addHelpText('after', '\nThe node must be stopped. Exit codes: 0 nothing is wrong, 1 something is damaged.')
    .action(act<StoreFlags>(cli, async ({ flags, voice, world }) => {
      const { data } = (await configOf(flags, world)).config
      const verified = await verifyStore(data)
      const problems = problemsOf(verified)
      voice.value({ data, ok: problems.length === 0, ...verified })
      for (const line of soundLines(verified, voice.colours)) voice.say(line)
      for (const problem of problems) voice.print(`${voice.colours.red('✗')} ${printable(problem.detail)}${problem.next === undefined ? '' : `\n    ${voice.colours.dim('→')} ${problem.next}`}`)
      voice.print(problems.length === 0 ? `nothing is wrong in ${printable(data)}` : `${counted(problems.length, 'problem')} in ${printable(data)}`)
      return problems.length === 0 ? exitCodes.completed : exitCodes.failed
    }))

  own(store.command('compact').description('remove archives whose time is over and what only they cite, and give back the room'))
    .addHelpText('after', '\nThe node must be stopped.')
    .action(act<StoreFlags>(cli, async ({ flags, voice, world }) => {
      const { data } = (await configOf(flags, world)).config
      const compacted = await compactStore(data, Date.now())
      const { beforeBytes, afterBytes, archivesRemoved, blobsRemoved, blobsKept } = compacted
      voice.value({ data, ...compacted })
      if (blobsKept !== undefined) voice.warn(`skein: archives and their blobs were kept: ${printable(blobsKept)}`)
      voice.print(`${size(beforeBytes)} before, ${size(afterBytes)} now; ${counted(archivesRemoved, 'archive')} and ${counted(blobsRemoved, 'blob')} removed`)
      return undefined
    }))
}

interface Problem {
  readonly detail: string
  readonly next?: string
}

function problemsOf({ watermark, groups, archives, blobs }: StoreVerified): Problem[] {
  const copies = 'start the node: what other nodes keep too is fetched from them; the rest needs a backup of the whole data directory'
  return [
    ...(watermark === undefined ? [] : [{ detail: `the watermark beside the log does not vouch for it: ${watermark}`, next: 'start the node: it joins the logs that it shares with others anew' }]),
    ...groups.flatMap(({ damage }) => (damage === undefined ? [] : [{ detail: damage, next: copies }])),
    ...archives.flatMap(({ missionId, damage }) => (damage === undefined ? [] : [{ detail: `the archive of ${missionId} is damaged: ${damage}`, next: 'ask for the mission at another node that kept it' }])),
    ...blobs.rotten.map((digest) => ({ detail: `blob ${digest} is not what it was`, next: 'start the node: it is fetched from another holder when it is next needed; check the disk' })),
  ]
}

function soundLines({ groups, archives, blobs }: StoreVerified, colours: Colours): string[] {
  const good = colours.green('✓')
  const elsewhere = archives.reduce((sum, { blobsElsewhere }) => sum + blobsElsewhere, 0)
  const sound = archives.filter(({ damage }) => damage === undefined).length
  return [
    ...groups.filter(({ damage }) => damage === undefined).map(({ group, entries, lastIndex }) => `${good} ${group}  ${entries === lastIndex ? (entries === 1 ? '1 entry' : `${entries} entries`) : `up to entry ${lastIndex}, ${entries} of them here`}`),
    ...(sound === 0 ? [] : [`${good} ${counted(sound, 'archive')}${elsewhere === 0 ? '' : colours.dim(`  (${counted(elsewhere, 'blob')} that they cite only on other nodes)`)}`]),
    ...(blobs.count === blobs.rotten.length ? [] : [`${good} ${counted(blobs.count - blobs.rotten.length, 'blob')}, ${size(blobs.bytes)}`]),
  ]
}
