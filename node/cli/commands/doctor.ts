/** `doctor`: why can't I see node X? */
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { homeDirectory } from '../../config/home.ts'
import { type Cli, type TalkFlags, act, withTalk } from '../cli.ts'
import { bundleOf, scrub } from '../doctor/bundle.ts'
import { type Finding, findingsOf } from '../doctor/findings.ts'
import { probeAll } from '../doctor/probes.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Colours } from '../view/colours.ts'

interface DoctorFlags extends TalkFlags {
  readonly bundle?: string | true
}

export function addDoctorCommand(program: Command, cli: Cli): void {
  withTalk(program.command('doctor').description("why can't I see node X? Looks at this machine, its node and the mesh")
    .argument('[node]', "a node's name, peer id or address to look at closely")
    .option('--bundle [file]', 'write all that was seen, redacted, as JSON (default: skein-doctor.json)'))
    .addHelpText('after', '\nExit codes: 0 nothing is wrong, 1 a problem was found.')
    .action(act<DoctorFlags>(cli, async ({ args, flags, voice, world }) => {
      const [subject] = args
      const probes = await probeAll(flags, world, subject)
      const findings = findingsOf(probes, subject)
      const bundle = bundleOf(probes, findings, homeDirectory())
      const file = flags.bundle === undefined ? undefined : resolve(world.cwd, flags.bundle === true ? 'skein-doctor.json' : flags.bundle)
      if (file !== undefined) await writeBundle(file, bundle)
      const problems = findings.filter((finding) => finding.level === 'problem').length
      voice.value(scrub({ problems, findings, ...(file === undefined ? {} : { bundle: file }) }, ''))
      for (const finding of findings) voice.print(lineOf(finding, voice.colours))
      voice.print('')
      voice.print(problems === 0 ? 'nothing is wrong' : `${problems} problem${problems === 1 ? '' : 's'} found`)
      if (file !== undefined) voice.print(`all of it, redacted: ${file}`)
      return problems === 0 ? exitCodes.completed : exitCodes.failed
    }))
}

async function writeBundle(file: string, bundle: unknown): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(bundle, null, 2)}\n`, { mode: 0o600 })
  } catch (thrown) {
    throw new MeshError('storage-failed', `${file} cannot be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'give another file to --bundle', retryable: false })
  }
}

function lineOf(finding: Finding, colours: Colours): string {
  const glyph = finding.level === 'good' ? colours.green('✓') : finding.level === 'problem' ? colours.red('✗') : colours.yellow('·')
  return `${glyph} ${colours.bold(finding.about)}: ${finding.detail}${finding.next === undefined ? '' : `\n    ${colours.dim('→')} ${finding.next}`}`
}
