/** The entry of a skill thread: one run at a time, threads are used again after clean runs. */
import { subscribe } from 'node:diagnostics_channel'
import type { ChildProcess } from 'node:child_process'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { invariant } from '../../protocols/kernel/errors.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import type { SkillChild } from './define-skill.ts'
import { executeStep, faultOfThrown } from './execute-step.ts'
import { describeSkill, skillsIn } from './module-contents.ts'
import { registerSkillImports } from './module-hooks.ts'
import { createThreadContext } from './thread-context.ts'
import type { ThreadContext } from './thread-context.ts'
import type { ChildParcel, FromThread, Parcel, ToThread } from './thread-messages.ts'

invariant(parentPort !== null, 'a skill thread is started by the skill runner')
const port = parentPort
const exit = process.exit.bind(process)
const skillThreadNiceness = 10

interface Current {
  readonly runId: string
  readonly pulses: NodeJS.Timeout
  startedMs: number
  thread?: ThreadContext
}
let current: Current | undefined

// Skills must not starve the node's loop of the processor. On Linux a priority belongs to a thread; elsewhere it would slow the node itself.
if (process.platform === 'linux') setPriority(skillThreadNiceness)

registerSkillImports()

function post(message: FromThread, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}

function open(parcel: Parcel): Json {
  return 'inline' in parcel ? parcel.inline : (JSON.parse(new TextDecoder().decode(parcel.bytes)) as Json)
}

function openChild({ output, ...child }: ChildParcel): SkillChild {
  return output === undefined ? child : { ...child, output: open(output) }
}

async function describeModule(url: string): Promise<void> {
  try {
    post({ type: 'described', url, skills: (await skillsIn(url)).map(describeSkill) })
  } catch (thrown) {
    post({ type: 'described', url, fault: faultOfThrown(thrown) })
  }
}

function begin(runId: string, pulseMs: number): void {
  const pulses = setInterval(() => post({ type: 'pulse', runId }), pulseMs)
  pulses.unref()
  current = { runId, pulses, startedMs: performance.now() }
  post({ type: 'started', runId })
}

function leave(run: Current, outcome: 'done' | 'failed'): void {
  clearInterval(run.pulses)
  run.thread?.end(outcome)
  current = undefined
}

/** True when no timer, socket, file or process of the run is left. Two turns of the loop let what is closing close. */
async function isClean(): Promise<boolean> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
  return process.getActiveResourcesInfo().every((resource) => resource === 'MessagePort' || resource === 'Immediate' || resource === 'CloseReq')
}

async function execute(request: Extract<ToThread, { type: 'run' }>): Promise<void> {
  const run = current
  invariant(run !== undefined && run.runId === request.runId, 'a run begins before it is executed')
  try {
    const skill = (await skillsIn(request.url)).find((one) => one.capability === request.capability && one.version === request.version)
    if (skill === undefined) throw new Error(`${request.url} no longer has ${request.capability} ${request.version}`)
    run.thread = createThreadContext({ port, runId: run.runId, about: request.about, folder: request.workFolder, resumed: request.resumed === undefined ? undefined : open(request.resumed) })
    const input = open(request.input)
    const children = request.children.map(openChild)
    run.startedMs = performance.now()
    post({ type: 'executing', runId: run.runId })
    const value = await executeStep({ skill, step: request.step, ...(request.round === undefined ? {} : { round: request.round }), input, children, context: run.thread.context })
    const output = new TextEncoder().encode(JSON.stringify(value))
    const runMs = performance.now() - run.startedMs
    leave(run, 'done')
    post({ type: 'done', runId: run.runId, output, runMs, clean: await isClean() }, [output.buffer])
  } catch (thrown) {
    fail(run, thrown)
  }
}

function fail(run: Current, thrown: unknown): void {
  const runMs = performance.now() - run.startedMs
  leave(run, 'failed')
  post({ type: 'failed', runId: run.runId, fault: faultOfThrown(thrown), runMs })
}

// What escapes a skill's promises ends the thread: nobody knows what state it left behind.
function escaped(thrown: unknown): void {
  if (current !== undefined) fail(current, thrown)
  exit(1)
}
process.on('uncaughtException', escaped)
process.on('unhandledRejection', escaped)

subscribe('child_process', (event) => {
  const child = (event as { process: ChildProcess }).process
  child.once('spawn', () => {
    if (child.pid !== undefined) post({ type: 'child-process', pid: child.pid, alive: true })
  })
  child.once('exit', () => {
    if (child.pid !== undefined) post({ type: 'child-process', pid: child.pid, alive: false })
  })
})

port.on('message', (message: ToThread) => {
  switch (message.type) {
    case 'describe':
      void describeModule(message.url)
      break
    case 'begin':
      begin(message.runId, message.pulseMs)
      break
    case 'run':
      void execute(message)
      break
    case 'called':
      current?.thread?.called(message)
      break
    case 'mesh-answer':
    case 'answer':
      current?.thread?.answer(message)
      break
  }
})

post({ type: 'up' })
