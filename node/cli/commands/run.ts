/** `run`: submit a capability or a plan, follow it, print what came out. */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { MeshError, toFault } from '../../../protocols/kernel/errors.ts'
import { CapabilityName } from '../../../protocols/kernel/ids.ts'
import type { MissionId } from '../../../protocols/kernel/ids.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { Acknowledgement, MissionLimits } from '../../../protocols/tasking/schema.ts'
import type { MissionView, ResultView } from '../../../protocols/tasking/views.ts'
import { nearest } from '../../config/nearest.ts'
import type { MeshClient, MissionRequestInput } from '../../http/client.ts'
import { saveArtifacts, upload } from '../blob-transfer.ts'
import { type Cli, type TalkFlags, act, collect, hidden, withTalk } from '../cli.ts'
import { type Connection, connect } from '../connection.ts'
import { type CliWorld, type Voice, usageError } from '../context.ts'
import { type ExitCode, exitCodeOf, exitCodeOfState, exitCodes } from '../exit-codes.ts'
import { detachable, follow, sayMoved } from '../follow.ts'
import { type Uploader, inputOf, readDocument } from '../input-values.ts'
import { printable, size } from '../view/format.ts'
import { notInThisRelease } from './later.ts'

interface RunFlags extends TalkFlags {
  readonly input?: readonly string[]
  readonly inputFile?: string
  readonly priority?: string
  readonly limit?: readonly string[]
  readonly key?: string
  readonly ack?: string
  readonly name?: string
  readonly capabilityVersion?: string
  readonly detach?: boolean
  readonly output?: string
  readonly quote?: boolean
}

const runHelp = `
Inputs:
  key=value       JSON where it is JSON (n=3, on=true, list=[1,2]), else text; a.b=1 is nested
  key=@file       uploads the file; key=@folder packs and uploads the folder; key=@@x is the text "@x"
  path=folder     for repo.report and docs.answer: packs and uploads the folder; git=url (repo.report) leaves the cloning to a worker
  In a plan or an input file, { "$upload": "./path" } uploads what stands beside that file.

Examples:
  skein run repo.report --input path=. --output ./report
  skein run docs.answer --input path=./handbook --input question="How long is the warranty?"
  skein run plan.yaml --limit leaves=200,durationMs=600000
  skein run text.summary --input text="a long story" --json

Exit codes: 0 completed, 1 failed or cancelled, 2 bad usage, 3 refused, 4 outcome unknown (run it again with the same --key),
130 let go with Ctrl-C (the mission goes on).`

export function addRunCommand(program: Command, cli: Cli): void {
  program.commandsGroup('Missions:')
  const run = program.command('run').description('submit a mission, follow it and print its result')
    .argument('<capability or plan>', 'a capability like repo.report, or a plan in a .yaml or .json file')
  withMissionFlags(run, 'an input; may be repeated').option('--capability-version <major.minor>', 'ask for a version of the capability')
  withTalk(run).addHelpText('after', runHelp).action(act<RunFlags>(cli, async ({ args, flags, voice, world }) => {
    if (flags.quote === true) throw notInThisRelease('run --quote')
    const connection = await connect(flags, world)
    return runMission(connection, { subject: args.join('') }, flags, voice, world)
  }))
}

const askHelp = `
A model of the mesh plans it, agents do it, and the result cites what they did. What there is to work with is given like inputs of "run":
  key=value, key=@file or key=@folder (uploaded), --input-file file

Examples:
  skein ask "Compare these libraries for a small web server and recommend one" --input hono=@hono.md --input koa=@koa.md
  skein ask "What changed in the warranty terms?" --input docs=@./contracts --limit budgetUsd=0.5

Needs a model somewhere in the mesh: skein node start --model FILE.gguf, or OPENAI_API_KEY or SKEIN_LLM_URL. Exit codes: as of "run".`

export function addAskCommand(program: Command, cli: Cli): void {
  program.commandsGroup('Missions:')
  const ask = program.command('ask').description('state a goal in words: a model plans it, agents do it')
    .argument('<goal...>', 'what is wanted, in words')
  withMissionFlags(ask, 'what there is to work with; may be repeated')
  withTalk(ask).addHelpText('after', askHelp).action(act<RunFlags>(cli, async ({ args, flags, voice, world }) => {
    if (flags.quote === true) throw notInThisRelease('ask --quote')
    const text = args.join(' ').trim()
    if (text === '') throw usageError('the goal is empty', 'say what is wanted: skein ask "Compare these files" --input a=@a.md --input b=@b.md')
    const connection = await connect(flags, world)
    return runMission(connection, { text }, flags, voice, world)
  }))
}

function withMissionFlags(command: Command, inputs: string): Command {
  return command.optionsGroup('The mission:')
    .option('-i, --input <key=value>', inputs, collect)
    .option('--input-file <file>', 'inputs from a JSON or YAML file')
    .option('-p, --priority <1-10>', '10 is the most urgent (default: 5)')
    .option('--limit <name=n,…>', 'leaves, depth, budgetUsd, durationMs', collect)
    .option('--key <key>', 'idempotency key: the same key gives the same mission')
    .option('--ack <level>', 'when it counts as accepted: ephemeral (in memory), local (on one disk), quorum (on the disks of a majority; default)')
    .option('--name <name>', 'what to call it in lists')
    .optionsGroup('Afterwards:')
    .option('-d, --detach', 'print the id and do not wait')
    .option('-o, --output <folder>', 'save the files of the result here')
    .addOption(hidden('--quote', 'show bids and prices, award nothing'))
}

/** What is asked for: a capability or a plan's file, or a goal in words. */
type Subject = { readonly subject: string } | { readonly text: string }

async function runMission(connection: Connection, subject: Subject, flags: RunFlags, voice: Voice, world: CliWorld): Promise<ExitCode> {
  const interrupt = detachable()
  // From the first moment on: a bridge may also die while it is handed the mission.
  const roaming = connection.client.roam(sayMoved((line) => voice.say(line)))
  try {
    const request = await requestOf(connection.client, subject, flags, voice, world, interrupt.signal)
    const key = flags.key ?? randomUUID()
    const { id } = await submit(connection.client, request, key)
    if (flags.detach === true) {
      const view = await connection.client.mission(id)
      voice.value(view)
      voice.print(id)
      voice.say(comeBack(id, connection))
      return exitCodes.completed
    }
    return await followToEnd(connection, id, voice, world, interrupt.signal, flags.output)
  } finally {
    roaming.close()
    interrupt.close()
  }
}

/** Watches until the end and prints the result, or says how to come back. */
export async function followToEnd(connection: Connection, id: MissionId, voice: Voice, world: CliWorld, signal: AbortSignal, output?: string): Promise<ExitCode> {
  const { state } = await follow(connection.client, id, voice, world, { signal })
  if (state === undefined) {
    if (!signal.aborted) throw new MeshError('timeout', `the feed of ${id} ended before the mission did`, { next: `skein mission show ${id}${connection.urlFlag}` })
    if (voice.json) voice.value(await connection.client.mission(id))
    else voice.warn(`\nlet go of ${id}; it goes on.\n${comeBack(id, connection)}`)
    return exitCodes.detached
  }
  const [view, result] = await Promise.all([connection.client.mission(id), connection.client.result(id)])
  const saved = output === undefined ? [] : await saveArtifacts(connection.client, result.artifacts, resolve(world.cwd, output))
  voice.value(missionDocument(view, result, saved))
  printResult(view, result, saved, connection, voice)
  return exitCodeOfState(view.state)
}

/** The finished mission as `--json` prints it. */
export function missionDocument(view: MissionView, result: ResultView, saved: readonly string[] = []): Record<string, unknown> {
  return {
    ...view,
    result: result.result ?? null,
    artifacts: result.artifacts,
    ...(saved.length === 0 ? {} : { saved }),
    ...(view.endedAtWallMs === undefined ? {} : { tookMs: view.endedAtWallMs - view.submittedAtWallMs }),
  }
}

function comeBack(id: MissionId, connection: Connection): string {
  return `  skein mission watch ${id}${connection.urlFlag}   follow it again\n  skein mission cancel ${id}${connection.urlFlag}  end it`
}

async function submit(client: MeshClient, request: MissionRequestInput, key: string): Promise<{ readonly id: MissionId }> {
  try {
    return await client.submit(request, { key })
  } catch (thrown) {
    const fault = toFault(thrown)
    if (exitCodeOf(fault.code) !== exitCodes.unknown) throw thrown
    throw new MeshError(fault.code, fault.detail, { next: `whether it was accepted is not known; the same command with --key ${key} gives the same mission` })
  }
}

async function requestOf(client: MeshClient, asked: Subject, flags: RunFlags, voice: Voice, world: CliWorld, signal: AbortSignal): Promise<MissionRequestInput> {
  const uploader: Uploader = {
    put: (bytes, about) => upload(client, bytes, about, signal),
    onUpload: (what) => voice.say(voice.colours.dim(`uploading ${what}`)),
    signal,
  }
  const base = flags.inputFile === undefined ? undefined : await readDocument(resolve(world.cwd, flags.inputFile), uploader)
  const common = {
    ...(flags.priority === undefined ? {} : { priority: wholeNumber('--priority', flags.priority, 1, 10) }),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.ack === undefined ? {} : { acknowledgement: acknowledgementOf(flags.ack) }),
    ...(flags.limit === undefined ? {} : { limits: limitsOf(flags.limit) }),
  }
  // The bridge fills in the defaults and checks everything again; what is absent here is meant to be absent there.
  if ('text' in asked) {
    const input = await inputOf('agent.plan', flags.input ?? [], base, world.cwd, uploader)
    return { text: asked.text, ...(Object.keys(input as object).length === 0 ? {} : { input }), ...common } as MissionRequestInput
  }
  const { subject } = asked
  if (/\.(ya?ml|json)$/i.test(subject)) {
    if (flags.input !== undefined || base !== undefined) throw usageError('a plan carries its inputs itself', 'write them into the plan; { "$upload": "./path" } uploads a file')
    return { plan: await readDocument(resolve(world.cwd, subject), uploader), ...common } as MissionRequestInput
  }
  const capability = CapabilityName.safeParse(subject)
  if (!capability.success) throw usageError(`"${printable(subject)}" ${capability.error.issues[0]?.message ?? 'is not a capability name'}`, 'see "skein capabilities", or give a plan as a .yaml or .json file')
  return {
    capability: capability.data,
    input: await inputOf(capability.data, flags.input ?? [], base, world.cwd, uploader),
    ...(flags.capabilityVersion === undefined ? {} : { version: flags.capabilityVersion }),
    ...common,
  } as MissionRequestInput
}

const limitNames: Readonly<Record<string, keyof MissionLimits>> = { leaves: 'leavesMax', depth: 'depthMax', budgetUsd: 'budgetUsd', durationMs: 'durationMs' }

/** `leaves=200,depth=4` as limits. @throws MeshError `bad-request` */
export function limitsOf(given: readonly string[]): Partial<MissionLimits> {
  const found: Record<string, number> = {}
  for (const pair of given.flatMap((text) => text.split(','))) {
    const [name = '', text = '', ...rest] = pair.trim().split('=')
    const key = limitNames[name]
    if (key === undefined || rest.length > 0) {
      const close = nearest(name, Object.keys(limitNames))
      throw usageError(`--limit "${pair}" is none of ${Object.keys(limitNames).map((known) => `${known}=n`).join(', ')}`, close === undefined ? 'write it like --limit leaves=200,depth=4' : `did you mean ${close}?`)
    }
    const checked = MissionLimits.shape[key].safeParse(text === '' ? Number.NaN : Number(text))
    if (!checked.success) throw usageError(`--limit ${name}=${text}: ${checked.error.issues[0]?.message ?? 'is not a number'}`, 'write it like --limit leaves=200,depth=4')
    found[key] = checked.data
  }
  return found
}

export function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || text.trim() === '' || value < min || value > max) throw usageError(`${flag} is "${text}"`, `give a whole number from ${min} to ${max}`)
  return value
}

function acknowledgementOf(text: string): Acknowledgement {
  const level = Acknowledgement.safeParse(text)
  if (!level.success) throw usageError(`--ack is "${text}"`, 'give ephemeral, local or quorum')
  return level.data
}

const resultLinesMax = 60

function printResult(view: MissionView, result: ResultView, saved: readonly string[], connection: Connection, voice: Voice): void {
  const { colours } = voice
  if (view.state !== 'completed') {
    const fault = result.fault ?? view.fault
    voice.print(`${colours.red(view.state)} ${view.id}${fault === undefined ? '' : `: ${printable(fault.detail)}`}`)
    if (fault?.next !== undefined) voice.print(`  → ${printable(fault.next)}`)
    voice.say(`  skein mission why ${view.id}${connection.urlFlag}   who bid, who refused, what failed`)
    return
  }
  voice.print(resultText(result.result as Json | undefined))
  if (saved.length > 0) voice.print(`saved ${saved.join(', ')}`)
  else if (result.artifacts.length > 0) voice.say(colours.dim(`files in the result (--output FOLDER saves them): ${result.artifacts.map((ref) => `${printable(ref.name ?? ref.$blob.slice(0, 12))} ${size(ref.sizeBytes)}`).join(', ')}`))
}

/** A summary where the result has one, else the value as JSON, cut where it is long: `--json` has all of it. */
export function resultText(result: Json | undefined): string {
  if (typeof result === 'string') return printable(result)
  if (typeof result === 'object' && result !== null && !Array.isArray(result) && typeof result['summary'] === 'string') return printable(result['summary'])
  const lines = printable(JSON.stringify(result ?? null, null, 2)).split('\n')
  return lines.length <= resultLinesMax ? lines.join('\n') : [...lines.slice(0, resultLinesMax), `… ${lines.length - resultLinesMax} more lines; --json prints all`].join('\n')
}
