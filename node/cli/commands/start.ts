/** `node start`, its alias `start`, and `join`: one node in this process, until it is told to stop. */
import type { Command } from 'commander'
import type { LoadedConfig } from '../../config.ts'
import { flagName, loadConfig } from '../../config.ts'
import type { RunningNode } from '../../main.ts'
import { parseInvite } from '../../mesh-key.ts'
import { survivesAbandonedWaits } from '../abandoned-waits.ts'
import { type Cli, act, collect, hidden, withCommon } from '../cli.ts'
import { type CliWorld, type CommonFlags, type Voice, usageError } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Ready } from '../ready-line.ts'
import { removeRunFile, writeRunFile } from '../run-file.ts'

export interface StartFlags extends CommonFlags {
  readonly config?: string
  readonly name?: string
  readonly data?: string
  readonly listenHost?: string
  readonly listenPort?: string
  readonly announce?: readonly string[]
  readonly join?: readonly string[]
  readonly mdns?: boolean
  readonly http?: boolean
  readonly httpHost?: string
  readonly httpPort?: string
  readonly duties?: string
  readonly slots?: string
  readonly skill?: readonly string[]
  readonly watch?: boolean
  readonly model?: readonly string[]
  readonly llmUrl?: readonly string[]
  readonly logLevel?: string
  readonly onBattery?: string
  readonly set?: readonly string[]
  readonly withParent?: boolean
}

/** The flags that set a node up. */
export function withNodeFlags(command: Command): Command {
  return command.optionsGroup('This node:')
    .option('--name <name>', "what people call it (default: the machine's name)")
    .option('--data <folder>', 'folder for identity, mesh key, logs and blobs')
    .option('--config <file>', 'read this configuration file and no other (SKEIN_CONFIG)')
    .option('--slots <n>', 'tasks run at the same time (default: cores)')
    .option('--duties <list>', 'worker,replica,bridge (default: all)')
    .option('--skill <file or package>', 'load skills from it; may be repeated', collect)
    .option('--watch', 'reload skills when their files change')
    .option('--model <file>', 'offer the language model in this GGUF file; may be repeated', collect)
    .option('--llm-url <url>', 'offer the models of this OpenAI-compatible endpoint (key: SKEIN_LLM_KEY); may be repeated', collect)
    .option('--on-battery <what>', 'work (default) or refuse')
    .option('--log-level <level>', 'debug, info, warn, error or silent')
    .option('--set <setting=value>', 'any other setting, like limits.leaseMs=9000; may be repeated', collect)
    .optionsGroup('Its mesh:')
    .option('--join <invite or address>', 'join a mesh, or another node of this mesh; may be repeated', collect)
    .option('--listen-host <address>', 'address for other nodes (default: all)')
    .option('--listen-port <port>', 'port for other nodes (default: 4747 or the next free one)')
    .option('--announce <multiaddr>', 'address to tell others; may be repeated', collect)
    .option('--no-mdns', 'do not look for nodes on the local network')
    .optionsGroup('Its bridge:')
    .option('--http-host <address>', 'address of the HTTP bridge (default: loopback; others demand http.tokens)')
    .option('--http-port <port>', 'port of the HTTP bridge (default: 7420 or the next free one)')
    .option('--no-http', 'serve no bridge')
    .addOption(hidden('--with-parent', 'stop when standard input closes'))
}

/** What the flags say, as settings. */
export function settingsOf(flags: StartFlags): Record<string, unknown> {
  const settings: Record<string, unknown> = {
    name: flags.name,
    data: flags.data,
    'listen.host': flags.listenHost,
    'listen.port': flags.listenPort,
    announce: flags.announce,
    join: flags.join,
    mdns: flags.mdns === false ? false : undefined,
    'http.enabled': flags.http === false ? false : undefined,
    'http.host': flags.httpHost,
    'http.port': flags.httpPort,
    duties: flags.duties,
    slots: flags.slots,
    skills: flags.skill,
    watch: flags.watch,
    models: flags.model,
    endpoints: flags.llmUrl,
    logLevel: flags.logLevel,
    onBattery: flags.onBattery,
  }
  for (const pair of flags.set ?? []) {
    const equals = pair.indexOf('=')
    if (equals < 1) throw usageError(`--set "${pair}" is not setting=value`, '"skein config show" lists every setting')
    const path = pair.slice(0, equals)
    if (settings[path] !== undefined) throw usageError(`${path} is set twice, by ${flagName(path)} and by --set`, 'keep one of them')
    settings[path] = pair.slice(equals + 1)
  }
  return settings
}

/** @throws MeshError `bad-request`, see `loadConfig`. */
export async function configOf(flags: StartFlags, world: CliWorld): Promise<LoadedConfig> {
  return await loadConfig({ flags: settingsOf(flags), env: world.env, cwd: world.cwd, ...(flags.config === undefined ? {} : { file: flags.config }) })
}

export function addStartCommands(program: Command, cli: Cli): void {
  const start = act<StartFlags>(cli, ({ flags, voice, world }) => runNode(flags, voice, world))
  program.commandsGroup('Nodes:')
  const node = program.command('node').description('this machine as a node of a mesh')
  withCommon(withNodeFlags(node.command('start').description('start a node; the first start makes a private mesh and prints the line that joins it'))).action(start)
  withCommon(withNodeFlags(program.command('start').description('the same as "node start"'))).action(start)
  withCommon(withNodeFlags(program.command('join').description('start a node in the mesh of an invite').argument('<invite>', 'the line that "skein invite" prints')))
    .action(act<StartFlags>(cli, ({ args, flags, voice, world }) => runNode({ ...flags, join: [args.join(''), ...(flags.join ?? [])] }, voice, world)))
}

const endGraceMs = 3_000

/** Starts the node and stays until a signal, its parent's end or its own. */
async function runNode(flags: StartFlags, voice: Voice, world: CliWorld): Promise<ExitCode> {
  const { config, ignored, endpointProblem } = await configOf(flags, world)
  if (endpointProblem !== undefined) throw endpointProblem
  for (const { variable, nearest } of ignored) {
    if (nearest !== undefined) voice.warn(`skein: ${variable} is no setting; did you mean ${nearest}?`)
  }
  // Read before anything is opened: a mistyped invite is no reason to make a mesh of one's own.
  for (const target of config.join) if (!target.startsWith('/')) parseInvite(target)
  // The node's libraries take a third of a second to load; no other command has to wait for them.
  const { startNode } = await import('../../main.ts')
  const stop = stopRequests(flags.withParent === true, world)
  const waits = survivesAbandonedWaits((line) => voice.warn(line))
  try {
    const node = await startNode(config)
    try {
      await writeRunFile(config.data, {
        pid: process.pid, peerId: node.peerId, name: node.name, addrs: [...node.addrs],
        ...(node.httpUrl === undefined ? {} : { http: node.httpUrl }),
        ...tokenOf(config.http.tokens),
      })
      announce(node, voice)
      if (config.duties.includes('worker') && !voice.quiet) void offerLocalServers(config.endpoints.map(({ url }) => url), voice)
      return await serve(node, stop, voice)
    } finally {
      await removeRunFile(config.data, process.pid)
      endForSure()
    }
  } finally {
    waits.close()
    stop.close()
  }
}

/** Model servers of this machine that the node does not use: it is the person's decision. */
async function offerLocalServers(used: readonly string[], voice: Voice): Promise<void> {
  const { findLocalServers, offerLine } = await import('../../models/local-servers.ts')
  for (const server of await findLocalServers(used)) {
    const { detail, next } = offerLine(server)
    voice.warn(`skein: ${detail}; ${next}`)
  }
}

/** Everything is closed by now. What could not be, on a broken disk for instance, must not keep the process. */
function endForSure(): void {
  setTimeout(() => process.exit(), endGraceMs).unref()
}

function tokenOf(tokens: Readonly<Record<string, string>>): { token?: string } {
  const [token] = Object.keys(tokens)
  return token === undefined ? {} : { token }
}

function announce(node: RunningNode, voice: Voice): void {
  const ready: Ready = { event: 'ready', peerId: node.peerId, addrs: [...node.addrs], ...(node.httpUrl === undefined ? {} : { http: node.httpUrl }) }
  voice.value(ready)
  const { bold, dim } = voice.colours
  voice.print(`${bold(node.name)} is ready  ${dim(node.peerId)}`)
  for (const addr of node.addrs) voice.say(`  nodes   ${addr}`)
  voice.say(node.httpUrl === undefined ? '  bridge  none' : `  bridge  ${node.httpUrl}`)
  voice.say('Another machine joins with this line (keep it like a password):')
  voice.say(`  skein join ${node.invite()}`)
  voice.say('Ctrl-C stops it: once gracefully, twice at once.')
}

async function serve(node: RunningNode, stop: StopRequests, voice: Voice): Promise<ExitCode> {
  const ended = node.drained.then(() => 'ended' as const)
  const first = await Promise.race([stop.next(), ended])
  if (first === 'ended') {
    voice.warn('skein: the node gave up; its log above says why. Started again it carries on where it was.')
    return exitCodes.failed
  }
  voice.say(`${first}: finishing or handing back what runs here; once more stops at once`)
  const draining = node.stop().then(() => 'ended' as const)
  const second = await Promise.race([stop.next(), draining])
  if (second === 'ended') return exitCodes.completed
  voice.say(`${second}: stopping at once`)
  await Promise.race([node.stop({ force: true }), new Promise((resolve) => setTimeout(resolve, 2_000).unref())])
  return exitCodes.completed
}

/** Requests closer together than this are one. */
const sameRequestMs = 200

interface StopRequests {
  /** The next request that has not been asked for yet, as a word for people. */
  next(): Promise<string>
  close(): void
}

/** SIGINT, SIGTERM and SIGHUP, and the end of standard input for a child of `up`. */
function stopRequests(withParent: boolean, world: CliWorld): StopRequests {
  const waiting: string[] = []
  let wake: (() => void) | undefined
  let askedAtMs = -Infinity
  const ask = (why: string): void => {
    // One press may come twice: a supervisor signals the whole process group, the launcher passes its own on.
    if (performance.now() - askedAtMs < sameRequestMs) return
    askedAtMs = performance.now()
    waiting.push(why)
    wake?.()
  }
  const onSignal = (signal: NodeJS.Signals): void => ask(signal)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, onSignal)
  const onEnd = (): void => {
    ask('the parent is gone')
    // Nobody is left to ask twice.
    setTimeout(() => process.exit(exitCodes.failed), 20_000).unref()
  }
  if (withParent) world.stdin.once('end', onEnd).once('error', onEnd).resume()
  return {
    async next() {
      while (waiting.length === 0) await new Promise<void>((resolve) => { wake = resolve })
      return waiting.shift() ?? ''
    },
    close() {
      for (const signal of signals) process.removeListener(signal, onSignal)
      if (withParent) world.stdin.removeListener('end', onEnd).removeListener('error', onEnd).pause()
    },
  }
}
