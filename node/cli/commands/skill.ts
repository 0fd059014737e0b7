/** `skill new|test`: write a skill, run it alone. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { BlobRef, Json } from '../../../protocols/kernel/payload.ts'
import { runSkillAlone } from '../../skills/run-skill-alone.ts'
import { scaffoldSkill } from '../../skills/scaffold-skill.ts'
import { type Cli, act, collect, withCommon } from '../cli.ts'
import { type CommonFlags, usageError } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { inputOf, readDocument } from '../input-values.ts'
import { printable, seconds } from '../view/format.ts'
import { wholeNumber } from './run.ts'

interface NewFlags extends CommonFlags {
  readonly dir?: string
}
interface TestFlags extends CommonFlags {
  readonly input?: readonly string[]
  readonly inputFile?: string
  readonly capability?: string
  readonly attempt?: string
  readonly time?: string
}

export function addSkillCommands(program: Command, cli: Cli): void {
  const skill = program.command('skill').description('write skills and run them alone')
  withCommon(skill.command('new').description('write the first version of a skill').argument('<capability>', 'lower-case words joined by dots, like text.shout')
    .option('--dir <folder>', 'where (default: here)'))
    .action(act<NewFlags>(cli, async ({ args, flags, voice, world }) => {
      const made = await scaffoldSkill(args[0] ?? '', resolve(world.cwd, flags.dir ?? '.'))
      voice.value(made)
      voice.print(`wrote ${made.path}`)
      voice.say(`try it:  ${made.tryIt}`)
    }))
  withCommon(skill.command('test').description('run a skill once, without a mesh, in a real skill thread').argument('<file or package>')
    .option('-i, --input <key=value>', 'an input; may be repeated', collect)
    .option('--input-file <file>', 'inputs from a JSON or YAML file')
    .option('--capability <name>', 'which of its skills, when it has several')
    .option('--attempt <n>', 'what the skill is told of earlier attempts')
    .option('--time <ms>', "time limit (default: the skill's own)"))
    .action(act<TestFlags>(cli, async ({ args, flags, voice, world }): Promise<ExitCode> => {
      const input = await inputFor(flags, world.cwd)
      const outcome = await runSkillAlone({
        skill: args[0] ?? '', from: world.cwd, input,
        ...(flags.capability === undefined ? {} : { capability: flags.capability }),
        ...(flags.attempt === undefined ? {} : { attempt: wholeNumber('--attempt', flags.attempt, 1, 1_000) }),
        ...(flags.time === undefined ? {} : { timeLimitMs: wholeNumber('--time', flags.time, 1, 86_400_000) }),
        onProgress: (fraction, text) => voice.say(voice.colours.dim(`${fraction === undefined ? '' : `${Math.round(fraction * 100)} % `}${printable(text ?? '')}`)),
        onOutput: (stream, text) => { if (!voice.quiet) voice.warn(`${stream}: ${printable(text).trimEnd()}`) },
      })
      const { blobs, ...told } = outcome
      voice.value({ ...told, blobs: blobs.size })
      voice.say(`${outcome.skill.capability} ${outcome.skill.version} · ${outcome.step} · ${seconds(outcome.stats.runMs)}`)
      if (outcome.state === 'done') {
        if (outcome.step === 'plan') voice.say('a composite skill alone can only plan; this is its plan:')
        voice.print(printable(JSON.stringify(outcome.output, null, 2)))
        return exitCodes.completed
      }
      voice.print(`${voice.colours.red('failed')} ${outcome.fault.code}: ${printable(outcome.fault.detail)}`)
      if (outcome.fault.next !== undefined) voice.print(`  → ${printable(outcome.fault.next)}`)
      return exitCodes.failed
    }))
}

async function inputFor(flags: TestFlags, cwd: string): Promise<Json> {
  const uploader = {
    put: (): Promise<BlobRef> => {
      throw usageError('a skill that runs alone has no mesh to upload files to', 'give plain values, or use "skein run" on a mesh')
    },
  }
  const base = flags.inputFile === undefined ? undefined : await readDocument(resolve(cwd, flags.inputFile), uploader)
  return inputOf('skill.test', flags.input ?? [], base, cwd, uploader)
}
