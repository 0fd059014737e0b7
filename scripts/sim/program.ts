/** The simulator's command line: names, flags, help. */
import { Argument, type Command } from 'commander'
import { bareProgram } from '../../node/cli/bare-program.ts'
import { type Cli, act, withCommon } from '../../node/cli/cli.ts'
import { type CompareFlags, compare } from './compare-command.ts'
import { list } from './list-command.ts'
import { type ReplayFlags, replay } from './replay-command.ts'
import { type RunFlags, runOne } from './run-command.ts'
import type { SimDeps } from './sim-world.ts'
import { type SweepFlags, sweep } from './sweep-command.ts'

const helpEnd = `
SCENARIO is the name of one that Skein ships ("skein sim list") or a path to a YAML or JSON file.
First steps:
  skein sim run home-lab --seed 1          a small mesh on virtual time, with a page to look at
  skein sim sweep home-lab --seeds 1..100  does any seed break a promise?

Every command has --help and --json. Exit codes: 0 all promises kept, 1 one was broken, 2 bad usage.`

/** @param cli gets the exit code of the command that ran */
export function buildSimProgram(cli: Cli, deps: SimDeps): Command {
  const program = bareProgram('skein sim', cli)
  program.description('A simulated mesh: the code of real nodes over a virtual clock, network and disks, with faults of all kinds.\nThe same scenario and seed give the same run, to the last message.')
    .helpOption('-h, --help', 'this help')
    .addHelpText('after', helpEnd)
    .helpCommand('help [command]', 'help for a command')
  const scenario = new Argument('<scenario>', 'a shipped one\'s name, or a path')

  withCommon(program.command('run').description('run a scenario and report').addArgument(scenario)
    .optionsGroup('The run:')
    .option('--seed <n>', 'which of all possible runs (default: 1)')
    .option('--until <seconds>', 'cut it short: work arrives and faults happen until then')
    .option('--no-checks', 'do not check the promises: for meshes of thousands of nodes')
    .optionsGroup('The page:')
    .option('--html <file>', 'where it goes, its figures as JSON beside it (default: skein-sim/<scenario>-<seed>.html; with --json: none)')
    .option('--no-html', 'write no page'))
    .action(act<RunFlags>(cli, ({ args: [given = ''], flags, voice, world }) => runOne(given, flags, voice, world, deps)))

  withCommon(program.command('replay').description('run to an event or an instant, and show every node as it is then').addArgument(scenario)
    .optionsGroup('The run:')
    .option('--seed <n>', 'which of all possible runs (default: 1)')
    .option('--until <seconds>', 'cut it short, as "run" does')
    .optionsGroup('Where to stop:')
    .option('--event <n>', 'after so many events')
    .option('--at <seconds>', 'at this virtual time')
    .option('--last <n>', 'show so many events before it', '20'))
    .action(act<ReplayFlags>(cli, ({ args: [given = ''], flags, voice, world }) => replay(given, flags, voice, world, deps)))

  withCommon(program.command('sweep').description('run many seeds on all cores, and find the shortest run that fails').argument('<scenario...>', 'names or paths')
    .optionsGroup('The seeds:')
    .option('--seeds <range>', 'like 1..500, 7 or 1,5,9..12', '1..100')
    .option('--until <seconds>', 'cut every run short, as "run" does')
    .option('--jobs <n>', 'at the same time (default: one per core)')
    .option('--seed-timeout <seconds>', 'of real time: a run that takes longer has failed', '600')
    .option('--failures-max <n>', 'stop after so many failing seeds', '20')
    .optionsGroup('Failures:')
    .option('--regressions <folder>', 'write a test for each failing seed there (default: test/sim/regressions of this clone)')
    .option('--no-regressions', 'write none'))
    .action(act<SweepFlags>(cli, ({ args, flags, voice, world }) => sweep(args, flags, voice, world, deps)))

  withCommon(program.command('compare').description('two scenarios, or two reports, figure by figure')
    .argument('<a>', 'a scenario, or a report (JSON) that "run" wrote').argument('<b>', 'what to compare with it')
    .optionsGroup('The seeds:')
    .option('--seeds <range>', 'of which the medians are taken', '1..10')
    .option('--jobs <n>', 'runs at the same time (default: one per core)'))
    .action(act<CompareFlags>(cli, ({ args: [a = '', b = ''], flags, voice, world }) => compare(a, b, flags, voice, world, deps)))

  withCommon(program.command('list').description('the scenarios that Skein ships'))
    .action(act(cli, ({ voice, world }) => list(voice, world, deps)))
  return program
}
