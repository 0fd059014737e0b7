/** `demo`, which is `npm start`. */
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { type Cli, act, withCommon } from '../cli.ts'
import type { CommonFlags } from '../context.ts'
import { personsFolder, runDemo } from '../demo/demo.ts'

interface DemoFlags extends CommonFlags {
  readonly keep?: boolean
  readonly output?: string
}

export function addDemoCommand(program: Command, cli: Cli): void {
  const demo = program.command('demo').description('three real nodes report on a folder; a worker is killed at work, then the owner of the mission')
    .argument('[path]', "the folder to report on (default: Skein's own)")
    .option('--keep', 'leave the nodes up afterwards, until Ctrl-C')
    .option('-o, --output <folder>', 'where the report goes', 'skein-report')
  withCommon(demo).action(act<DemoFlags>(cli, ({ args, flags, voice, world }) => {
    const here = personsFolder(world)
    const own = dirname(dirname(resolve(world.bin)))
    return runDemo({ path: args[0] === undefined ? own : resolve(here, args[0]), keep: flags.keep === true, reportFolder: resolve(here, flags.output ?? 'skein-report') }, voice, world)
  }))
}
