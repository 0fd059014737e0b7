/** `sim replay`: runs to an event or an instant, and shows every node as it is then. */
import type { CliWorld, CommonFlags, Voice } from '../../node/cli/context.ts'
import { usageError } from '../../node/cli/context.ts'
import { type ExitCode, exitCodes } from '../../node/cli/exit-codes.ts'
import { counted, printable } from '../../node/cli/view/format.ts'
import { table } from '../../node/cli/view/table.ts'
import type { NodeState } from '../../sim/simulation.ts'
import { time, whole } from './format.ts'
import { secondsToMs, seedOf, wholeNumber } from './numbers-given.ts'
import { prepare, workEndMs } from './run-command.ts'
import { runPane } from './run-pane.ts'
import { loadScenario } from './scenario-file.ts'
import { type SimDeps, personsFolder } from './sim-world.ts'

export interface ReplayFlags extends CommonFlags {
  readonly seed?: string
  readonly event?: string
  readonly at?: string
  readonly until?: string
  readonly last?: string
}

export async function replay(given: string, flags: ReplayFlags, voice: Voice, world: CliWorld, deps: SimDeps): Promise<ExitCode> {
  const seed = seedOf(flags.seed)
  if ((flags.event === undefined) === (flags.at === undefined)) throw usageError('where to stop is not said', 'give either --event NUMBER or --at SECONDS')
  const stop = flags.event !== undefined ? { event: wholeNumber('--event', flags.event, 0, Number.MAX_SAFE_INTEGER) } : { atMs: secondsToMs('--at', flags.at ?? '', 0) }
  const last = wholeNumber('--last', flags.last ?? '20', 0, 100_000)
  const untilMs = flags.until === undefined ? undefined : secondsToMs('--until', flags.until)
  const loaded = loadScenario(given, personsFolder(world), deps.scenarios)

  const pane = runPane(voice, (text) => world.stdout.write(text), workEndMs(loaded.scenario, untilMs))
  const simulation = await prepare(deps, loaded, { seed, ...(untilMs === undefined ? {} : { untilMs }), onProgress: pane.onProgress })
  const reached = await simulation.runTo(stop).finally(pane.close)
  const states = await simulation.states()
  const events = simulation.recentEvents(last)
  voice.value({ scenario: loaded.scenario.name, seed, reached, event: simulation.events, atMs: simulation.nowMs, nodes: states, events })
  if (voice.json) return exitCodes.completed

  const { colours } = voice
  voice.print(`${colours.bold(loaded.scenario.name)}, seed ${seed}, ${reached ? 'stopped' : colours.yellow('ended before that,')} at ${time(simulation.nowMs)}, after ${whole(simulation.events)} events\n`)
  for (const line of table([['NODE', 'STATE', 'ITS CLOCK', 'CONNECTIONS', 'SLOTS', 'WAITING', 'DEAD LETTERS', 'OWNS'], ...states.map((state) => row(state, voice))], voice.columns, colours.dim)) voice.print(line)
  const running = states.flatMap((state) => state.running.map((run) => `  ${printable(state.node)}  ${printable(run.task)}  ${printable(run.capability)}  for ${time(run.forMs)}`))
  if (running.length > 0) voice.print([`\n${colours.bold('Running')}`, ...running].join('\n'))
  voice.print(`\n${colours.bold(events.length === 0 ? 'No events yet' : `The last ${counted(events.length, 'event')}`)}`)
  for (const event of events) voice.print(`  ${printable(event)}`)
  return exitCodes.completed
}

const missionsShown = 3

function row(state: NodeState, { colours }: Voice): string[] {
  const owned = state.missionsOwned.slice(0, missionsShown).map((mission) => `${mission.mission} ${mission.state} (entry ${mission.lastIndex})`)
  if (state.missionsOwned.length > missionsShown) owned.push(`and ${state.missionsOwned.length - missionsShown} more`)
  const colour = { up: colours.green, down: colours.red, paused: colours.yellow }[state.state]
  return [
    printable(state.node), colour(state.state), time(state.clockMs), String(state.connections), `${state.running.length} of ${state.slots}`, String(state.waitingCalls), String(state.deadLetters),
    printable(owned.join(', ')),
  ]
}
