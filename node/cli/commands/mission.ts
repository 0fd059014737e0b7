/** `mission …`: look at missions, steer them, deal with what died. */
import type { Command } from 'commander'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { MissionId, TaskId } from '../../../protocols/kernel/ids.ts'
import type { MissionView, ResultView, TaskView } from '../../../protocols/tasking/views.ts'
import type { MeshClient } from '../../http/client.ts'
import { type Cli, type TalkFlags, act, withTalk } from '../cli.ts'
import { connect } from '../connection.ts'
import { type Voice, usageError } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { detachable } from '../follow.ts'
import { deadLines } from '../view/dead-lines.ts'
import { counted, printable, seconds, shortPeer, spent, usd } from '../view/format.ts'
import { table } from '../view/table.ts'
import { whyLines } from '../view/why-lines.ts'
import { followToEnd, wholeNumber } from './run.ts'

interface ListFlags extends TalkFlags {
  readonly limit?: string
}
interface WatchFlags extends TalkFlags {
  readonly output?: string
}
interface CancelFlags extends TalkFlags {
  readonly reason?: string
}

interface ForkFlags extends TalkFlags {
  readonly at?: string
  readonly model?: string
  readonly name?: string
  readonly output?: string
}

/** The fork beside the mission that it continues. */
function comparison(before: MissionView, after: MissionView, resultBefore: ResultView, resultAfter: ResultView): string[] {
  const took = (view: MissionView): string => (view.endedAtWallMs === undefined ? 'not ended' : seconds(view.endedAtWallMs - view.submittedAtWallMs))
  const same = JSON.stringify(resultBefore.result ?? null) === JSON.stringify(resultAfter.result ?? null)
  return [
    '', `compared with ${before.id}:`,
    `  state   ${before.state} → ${after.state}`, `  took    ${took(before)} → ${took(after)}`, `  spent   ${usd(before.spentUsd)} → ${usd(after.spentUsd)} (what was taken over was paid before)`,
    `  result  ${same ? 'the same' : `another: skein mission show ${before.id}, and the one above`}`,
  ]
}

const takeoverHelp = `
Where two nodes keep a mission, neither takes over by itself: a dead node cannot be told from one that is cut off.
When the owner is lost for good, this makes the node that is asked go on from its own copy, under the next lineage.
What the owner did and that copy has not seen is lost; tasks may run a second time. The mission is outside the
promises of quorum from then on, and "mission show" says so. If the owner comes back, it is told that it owns nothing.`

const idArgument = ['<mission>', 'the id that "skein run" or "skein mission list" prints'] as const

export function addMissionCommands(program: Command, cli: Cli): void {
  const mission = program.command('mission').description('list, follow, explain and steer missions')
  mission.commandsGroup('Look:')
  withTalk(mission.command('list').description('the missions of the mesh, newest first').option('-n, --limit <n>', 'how many at most', '20'))
    .action(act<ListFlags>(cli, async ({ flags, voice, world }) => {
      const { client } = await connect(flags, world)
      const views = await client.missions(wholeNumber('--limit', flags.limit ?? '20', 1, 1_000))
      voice.value(views)
      voice.print(views.length === 0 ? 'no missions yet; try "skein run repo.report --input path=."' : missionTable(views, voice))
    }))
  withTalk(mission.command('show').description('one mission with its tasks').argument(...idArgument))
    .action(act<TalkFlags>(cli, async ({ args, flags, voice, world }) => {
      const { client } = await connect(flags, world)
      const id = missionId(args[0])
      const [view, root] = await Promise.all([client.mission(id), client.tasks(id)])
      voice.value({ ...view, root })
      voice.print(showLines(view, root, voice).join('\n'))
    }))
  withTalk(mission.command('watch').description('follow a mission until its end').argument(...idArgument).option('-o, --output <folder>', 'save the files of the result here'))
    .action(act<WatchFlags>(cli, async ({ args, flags, voice, world }) => {
      const interrupt = detachable()
      try {
        return await followToEnd(await connect(flags, world), missionId(args[0]), voice, world, interrupt.signal, flags.output)
      } finally {
        interrupt.close()
      }
    }))
  withTalk(mission.command('why').description('who bid, who won and why, who refused, what it waits for').argument(...idArgument).argument('[task]', 'only this task, like build or root/all/build'))
    .action(act<TalkFlags>(cli, async ({ args, flags, voice, world }) => {
      const { client } = await connect(flags, world)
      const id = missionId(args[0])
      const why = await client.why(id, await taskNamed(client, id, args[1]))
      voice.value(why)
      voice.print(whyLines(why, voice.colours, voice.columns).join('\n'))
    }))

  mission.commandsGroup('Steer:')
  const steer = (name: string, description: string, turn: (client: MeshClient, id: MissionId, args: readonly string[], flags: CancelFlags) => Promise<MissionView>): Command =>
    withTalk(mission.command(name).description(description).argument(...idArgument))
      .action(act<CancelFlags>(cli, async ({ args, flags, voice, world }) => {
        const { client } = await connect(flags, world)
        const view = await turn(client, missionId(args[0]), args, flags)
        voice.value(view)
        voice.print(`${view.id} is ${view.state}${view.waitingFor === undefined ? '' : `: ${printable(view.waitingFor)}`}`)
      }))
  steer('cancel', 'end a mission and all its running tasks', (client, id, _args, flags) => client.cancel(id, flags.reason)).option('--reason <text>', "why; it stands in the mission's log")
  steer('pause', 'award no more tasks until it is resumed', (client, id) => client.pause(id))
  steer('resume', 'go on with a paused mission', (client, id) => client.resume(id))
  steer('retry', 'try dead tasks again: all, or one', async (client, id, args) => client.retry(id, await taskNamed(client, id, args[1]))).argument('[task]', 'only this task, like build or root/all/build')

  withTalk(mission.command('takeover').description('go on by hand without an owner that is lost for good, on the node that is asked').argument(...idArgument)).addHelpText('after', takeoverHelp)
    .action(act<TalkFlags>(cli, async ({ args, flags, voice, world }) => {
      const { client } = await connect(flags, world)
      const view = await client.takeover(missionId(args[0]))
      voice.value(view)
      voice.print([`${view.id} goes on at ${printable(view.ownerName)}, ${view.state}`, ...takenOverLines(view)].join('\n'))
    }))

  withTalk(mission.command('fork').description('another mission that begins where this one stood before a task; earlier results are taken over').argument(...idArgument)
    .requiredOption('--at <task>', 'the task to begin at, like compare or root/all/compare').option('--model <name>', "the task's own calls go to this model").option('--name <name>', 'what to call it in lists').option('-o, --output <folder>', 'save the files of the result here'))
    .action(act<ForkFlags>(cli, async ({ args, flags, voice, world }) => {
      const interrupt = detachable()
      try {
        const connection = await connect(flags, world)
        const { client } = connection
        const id = missionId(args[0])
        const at = await taskNamed(client, id, flags.at)
        if (at === undefined) throw usageError('--at names no task', 'list them: skein mission show ID')
        const fork = await client.fork(id, { at, ...(flags.model === undefined ? {} : { model: flags.model }), ...(flags.name === undefined ? {} : { name: flags.name }) })
        const code = await followToEnd(connection, fork.id, voice, world, interrupt.signal, flags.output)
        if (!interrupt.signal.aborted) voice.say(comparison(await client.mission(id), await client.mission(fork.id), await client.result(id), await client.result(fork.id)).join('\n'))
        return code
      } finally {
        interrupt.close()
      }
    }))

  addDeadCommands(mission, cli)
}

function addDeadCommands(mission: Command, cli: Cli): void {
  mission.commandsGroup('Dead letters:')
  const dead = mission.command('dead').description('tasks that ran out of attempts, and messages that reached nobody')
  withTalk(dead.command('list').description('what died and why')).action(act<TalkFlags>(cli, async ({ flags, voice, world }) => {
    const { client } = await connect(flags, world)
    const letters = await client.dead()
    voice.value(letters)
    voice.print(deadLines(letters, Date.now(), voice.colours, voice.columns).join('\n'))
  }))
  withTalk(dead.command('retry').description('try a dead task again').argument('<id>', 'from "mission dead list"')).action(act<TalkFlags>(cli, async ({ args, flags, voice, world }) => {
    const { client } = await connect(flags, world)
    const view = await client.retryDead(args[0] ?? '')
    voice.value(view)
    voice.print(`${view.id} is ${view.state}`)
  }))
  withTalk(dead.command('drop').description('list a dead letter no more; its mission keeps it').argument('<id>', 'from "mission dead list"')).action(act<TalkFlags>(cli, async ({ args, flags, voice, world }): Promise<ExitCode> => {
    const { client } = await connect(flags, world)
    await client.dropDead(args[0] ?? '')
    voice.value({ dropped: args[0] })
    voice.print(`dropped ${args[0] ?? ''}`)
    return exitCodes.completed
  }))
}

export function missionId(text: string | undefined): MissionId {
  const id = MissionId.safeParse(text)
  if (!id.success) throw usageError(`"${text ?? ''}" is not a mission id`, 'ids look like m-1a2b3c4d-0123456789ab; "skein mission list" prints them')
  return id.data
}

/** A task by its id, or by its own name where only one task of the mission has it. */
async function taskNamed(client: MeshClient, id: MissionId, text: string | undefined): Promise<TaskId | undefined> {
  if (text === undefined) return undefined
  if (text === 'root' || text.startsWith('root/')) {
    const parsed = TaskId.safeParse(text)
    if (!parsed.success) throw usageError(`"${text}" is not a task id`, 'ids look like root/build; "skein mission show" prints the tasks')
    return parsed.data
  }
  const ids = idsBelow(await client.tasks(id))
  const [only, ...others] = ids.filter((candidate) => candidate.endsWith(`/${text}`))
  if (only === undefined) throw new MeshError('unknown-task', `mission ${id} has no task ${text}`, { next: `its tasks: skein mission show ${id}` })
  if (others.length > 0) throw usageError(`${text} is the name of ${others.length + 1} tasks`, `say which: ${[only, ...others].slice(0, 5).join(', ')}`)
  return only
}

function idsBelow(task: TaskView): TaskId[] {
  return [task.id, ...task.children.flatMap(idsBelow)]
}

function ago(wallMs: number): string {
  return `${seconds(Date.now() - wallMs)} ago`
}

function missionTable(views: readonly MissionView[], voice: Voice): string {
  const rows = views.map((view) => [
    view.id, view.state, printable(view.name), `${view.tasks.accepted ?? 0}/${Object.values(view.tasks).reduce((sum, n) => sum + n, 0)}`,
    seconds((view.endedAtWallMs ?? Date.now()) - view.submittedAtWallMs), ago(view.submittedAtWallMs), printable(view.ownerName),
  ])
  return table([['ID', 'STATE', 'NAME', 'TASKS', 'TOOK', 'SUBMITTED', 'OWNER'], ...rows], voice.columns, voice.colours.dim).join('\n')
}

/** Who keeps its log. */
function keptByLines({ members = [] }: MissionView): string[] {
  const named = (votes: boolean): string => members.filter((member) => member.votes === votes).map((member) => printable(member.name ?? shortPeer(member.peer))).join(', ')
  if (members.length === 0) return []
  return [`its log is kept by ${named(true)}${members.every(({ votes }) => votes) ? '' : `; copied to ${named(false)} (no vote)`}`]
}

function takenOverLines({ epoch }: MissionView): string[] {
  const times = (epoch?.lineage ?? 1) - 1
  if (times < 1) return []
  return [`taken over by hand${times === 1 ? '' : ` ${times} times`}: what its lost owner did and nobody else saw is lost, and the promises of quorum do not hold for it`]
}

/** What the mission had to do twice: further attempts, additions to plans, and what they were for. */
function correctionLines(root: TaskView): string[] {
  const all: TaskView[] = []
  const walk = (task: TaskView): void => {
    all.push(task)
    task.children.forEach(walk)
  }
  walk(root)
  const again = all.reduce((sum, task) => sum + Math.max(0, task.attempts - 1), 0)
  const rounds = all.reduce((sum, task) => sum + (task.rounds ?? 0), 0)
  const dead = all.filter((task) => task.state === 'dead' && task.id !== 'root').length
  const parts = [...(again === 0 ? [] : [`${counted(again, 'further attempt')}`]), ...(rounds === 0 ? [] : [`${counted(rounds, 'addition')} to plans`]), ...(dead === 0 ? [] : [`${counted(dead, 'task')} given up or dead`])]
  return parts.length === 0 ? [] : [`corrected: ${parts.join(', ')} ("skein mission why" says what for)`]
}

function showLines(view: MissionView, root: TaskView, voice: Voice): string[] {
  const { bold, dim, red } = voice.colours
  const lines = [
    `${bold(printable(view.name))}  ${view.state}  ${dim(view.id)}`,
    ...(view.waitingFor === undefined ? [] : [`waits: ${printable(view.waitingFor)}`]),
    ...(view.fault === undefined ? [] : [red(printable(view.fault.detail))]),
    `owner ${printable(view.ownerName)}${view.epoch === undefined ? '' : ` · epoch ${view.epoch.lineage}.${view.epoch.term}`} · acknowledged ${view.acknowledgement} · priority ${view.priority} · for ${view.principal} · ${seconds((view.endedAtWallMs ?? Date.now()) - view.submittedAtWallMs)}`,
    `limits ${view.limits.leavesMax} leaves, depth ${view.limits.depthMax}, ${view.limits.budgetUsd} USD, ${seconds(view.limits.durationMs)} · ${view.endedAtWallMs === undefined ? 'spent or set aside' : 'spent'} ${usd(view.spentUsd)}`,
    ...(view.forkOf === undefined ? [] : [`fork of ${view.forkOf.missionId} at ${view.forkOf.taskId}`]),
    ...correctionLines(root),
    ...keptByLines(view),
    ...takenOverLines(view),
  ]
  const rows: string[][] = [['TASK', 'STATE', 'CAPABILITY', 'NODE', 'TOOK', 'ATTEMPTS', 'SPENT', '']]
  const walk = (task: TaskView, indent: string): void => {
    rows.push([indent + printable(task.name), task.reusedFrom === undefined ? task.state : 'reused', task.capability, printable(task.workerName ?? ''), task.tookMs === undefined ? '' : seconds(task.tookMs), String(task.attempts), spent(task).trim(), printable(task.fault?.detail ?? '')])
    for (const child of task.children) walk(child, `${indent}  `)
  }
  walk(root, '')
  return [...lines, '', ...table(rows, voice.columns, dim)]
}
