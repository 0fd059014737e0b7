/**
 * `skein service install|remove`: a node that starts with its user's session, by systemd (Linux) or launchd (macOS).
 * Nothing here needs root.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, posix, sep } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { homeDirectory } from '../config/home.ts'
import type { ToolOutcome } from '../hardware/run-tool.ts'
import { runTool } from '../hardware/run-tool.ts'
import { launchdLabel, renderLaunchdPlist } from './launchd-plist.ts'
import type { ServiceProgram } from './systemd-unit.ts'
import { renderSystemdUnit, systemdUnitName } from './systemd-unit.ts'

export interface RemoveServiceOptions {
  /** Changes nothing: the result says what would be done. */
  readonly dryRun?: boolean
  /** Default: this machine's. */
  readonly platform?: NodeJS.Platform
  readonly home?: string
  /** The environment in which the service manager's own tool runs. Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly userId?: number
}

export interface InstallServiceOptions extends RemoveServiceOptions {
  /** Absolute path of the `skein` bin. */
  readonly binPath: string
  /** Absolute path of the node's data directory. */
  readonly dataDir: string
  /** Further arguments of `node start`. They are readable by this user only, but do not put secrets there. */
  readonly args?: readonly string[]
  /** Default: the Node that runs now. */
  readonly nodePath?: string
  /** The service's environment. Default: this process's PATH, so that programs found now are found later. */
  readonly serviceEnv?: Readonly<Record<string, string>>
}

export interface ServiceFile {
  readonly path: string
  readonly change: 'written' | 'removed' | 'unchanged'
  /** What the file holds, or held. */
  readonly text: string
}

export interface ServiceResult {
  /** With `dryRun`, what would become of them. */
  readonly files: readonly ServiceFile[]
  /** Ready for a shell; those that ran, or those to run by hand. */
  readonly commands: readonly string[]
  /** Sentences for a person. */
  readonly notes: readonly string[]
  /** Whether every command ran and succeeded; false with `dryRun`. */
  readonly done: boolean
}

type Command = readonly [string, ...string[]]

interface Manager {
  readonly path: string
  readonly install: (program: ServiceProgram) => { readonly text: string; readonly folders: readonly string[] }
  readonly startCommands: (wasThere: boolean) => readonly Step[]
  readonly stopCommands: readonly Step[]
  /** After the file is gone. */
  readonly afterRemove: readonly Step[]
  /** What stops a service whose file is gone, when `stopCommands` could not. */
  readonly stopLeftover: readonly Step[]
  /** What enabling leaves beside the file. */
  readonly links: readonly string[]
  readonly notes: readonly string[]
}

interface Step {
  readonly command: Command
  /** Its failure means only that there was nothing to stop. */
  readonly mayFail?: boolean
  /** How often to try: launchd needs a moment between unloading an agent and loading it again. */
  readonly tries?: number
}

/** Long enough to drain, and as long again to close. */
const stopTimeoutMs = limits.drainMs * 2 + 10_000
const commandLimits = { timeoutMs: 60_000, outputBytesMax: 1024 * 1024 }
const retryMs = 500

/**
 * Writes the service's definition and starts it. Installing twice is updating: the node is restarted with the new definition.
 * Where the service manager cannot be reached (no session bus, a container) the file is written all the same, and the
 * result's `commands` are to be run by hand.
 * @throws MeshError `not-available` on another platform, `bad-request` for paths that are not absolute or hold control
 *   characters, `storage-failed` when the file cannot be written.
 */
export async function installService(options: InstallServiceOptions): Promise<ServiceResult> {
  const manager = managerFor(options)
  const program = programOf(options)
  const { text, folders } = manager.install(program)
  const before = await readIfThere(manager.path)
  const change = before === text ? 'unchanged' : 'written'
  const steps = manager.startCommands(before !== undefined)
  const notes = [...installNotes(program), ...manager.notes]
  const files: ServiceFile[] = [{ path: manager.path, change, text }]
  if (options.dryRun === true) return { files, commands: steps.map(shellLine), notes, done: false }

  try {
    for (const folder of folders) await mkdir(folder, { recursive: true })
    if (change === 'written') await writeWhole(manager.path, text)
  } catch (thrown) {
    throw storageFault('write', manager.path, thrown)
  }
  const performed = await perform(steps, options, notes)
  return { files, commands: performed.commands, notes: performed.notes, done: performed.done }
}

/**
 * Stops the service and deletes its definition; the node's data stays. Removing what is not there is no error.
 * @throws MeshError `not-available` on another platform, `storage-failed` when the file cannot be deleted.
 */
export async function removeService(options: RemoveServiceOptions = {}): Promise<ServiceResult> {
  const manager = managerFor(options)
  const text = await readIfThere(manager.path)
  if (text === undefined) return { files: [], commands: [], notes: [`There is no service to remove: ${manager.path} does not exist.`], done: true }
  const files: ServiceFile[] = [{ path: manager.path, change: 'removed', text }]
  const steps = [...manager.stopCommands, ...manager.afterRemove]
  if (options.dryRun === true) return { files, commands: steps.map(shellLine), notes: [], done: false }

  const stopped = await perform(manager.stopCommands, options, [])
  for (const path of [manager.path, ...manager.links]) {
    try {
      await rm(path, { force: true })
    } catch (thrown) {
      throw storageFault('delete', path, thrown)
    }
  }
  const kept = 'The data of the node was kept.'
  if (!stopped.done) {
    const commands = [...manager.stopLeftover, ...manager.afterRemove].map(shellLine)
    return { files, commands, notes: [`${stopped.why}. If the node still runs: ${commands.join(' && ')}`, kept], done: false }
  }
  const after = await perform(manager.afterRemove, options, [kept])
  return { files, commands: [...stopped.commands, ...after.commands], notes: after.notes, done: after.done }
}

function managerFor(options: RemoveServiceOptions): Manager {
  const platform = options.platform ?? process.platform
  const home = options.home ?? homeDirectory()
  if (!isAbsolute(home)) throw new MeshError('bad-request', `the home directory ${JSON.stringify(home)} is not an absolute path`, { next: 'set HOME' })
  if (platform === 'linux') return systemd(home)
  if (platform === 'darwin') return launchd(home, options.userId ?? process.getuid?.() ?? 0)
  throw new MeshError('not-available', `skein service works with systemd (Linux) and launchd (macOS), not on ${platform}`, {
    next: platform === 'win32' ? 'run Skein inside WSL 2, or start `skein node start` from the Task Scheduler' : 'let your service manager run `skein node start`',
  })
}

function systemd(home: string): Manager {
  const path = posix.join(home, '.config/systemd/user', systemdUnitName)
  const systemctl = (...args: string[]): Command => ['systemctl', '--user', ...args]
  return {
    path,
    install: (program) => ({ text: renderSystemdUnit(program), folders: [dirname(path)] }),
    startCommands: (wasThere) => [
      { command: systemctl('daemon-reload') },
      { command: systemctl('enable', systemdUnitName) },
      { command: systemctl(wasThere ? 'restart' : 'start', systemdUnitName) },
    ],
    stopCommands: [{ command: systemctl('disable', '--now', systemdUnitName) }],
    afterRemove: [{ command: systemctl('daemon-reload') }],
    stopLeftover: [{ command: systemctl('stop', systemdUnitName) }],
    links: [posix.join(dirname(path), 'default.target.wants', systemdUnitName)],
    notes: ['Its log: journalctl --user -u skein.service -f', 'A user service ends when you log out; to keep it running: loginctl enable-linger'],
  }
}

function launchd(home: string, userId: number): Manager {
  const path = posix.join(home, 'Library/LaunchAgents', `${launchdLabel}.plist`)
  const logPath = posix.join(home, 'Library/Logs/skein.log')
  const domain = `gui/${userId}`
  const bootout: Command = ['launchctl', 'bootout', `${domain}/${launchdLabel}`]
  return {
    path,
    install: (program) => ({ text: renderLaunchdPlist(program, logPath), folders: [dirname(path), dirname(logPath)] }),
    startCommands: (wasThere) => [
      ...(wasThere ? [{ command: bootout, mayFail: true }] : []),
      { command: ['launchctl', 'enable', `${domain}/${launchdLabel}`] },
      { command: ['launchctl', 'bootstrap', domain, path], tries: wasThere ? 10 : 1 },
    ],
    stopCommands: [{ command: bootout, mayFail: true }],
    afterRemove: [],
    stopLeftover: [{ command: bootout }],
    links: [],
    notes: [`Its log: ${logPath}`],
  }
}

function programOf(options: InstallServiceOptions): ServiceProgram {
  const nodePath = options.nodePath ?? process.execPath
  for (const [what, path] of [['the Node binary', nodePath], ['the skein bin', options.binPath], ['the data directory', options.dataDir]] as const) {
    if (!isAbsolute(path)) throw new MeshError('bad-request', `${what} ${JSON.stringify(path)} is not an absolute path`, { next: 'a service has no current folder: give the whole path' })
  }
  const path = (options.env ?? process.env)['PATH'] ?? ''
  const folders = path.split(':').filter((folder) => folder.startsWith('/'))
  return {
    nodePath,
    binPath: options.binPath,
    args: ['node', 'start', '--data', options.dataDir, ...(options.args ?? [])],
    env: options.serviceEnv ?? (folders.length === 0 ? {} : { PATH: folders.join(':') }),
    stopTimeoutMs,
  }
}

function installNotes(program: ServiceProgram): string[] {
  const passing = [program.nodePath, program.binPath].find((path) => path.split(sep).includes('_npx'))
  return passing === undefined ? [] : [`${passing} is in npx's cache, which npm may empty: install Skein first (npm install --global skein) and install the service again.`]
}

interface Performed extends Pick<ServiceResult, 'commands' | 'notes' | 'done'> {
  /** Of the first failure; empty without one. */
  readonly why: string
}

/** Runs the steps in order and stops at the first failure. */
async function perform(steps: readonly Step[], options: RemoveServiceOptions, notes: readonly string[]): Promise<Performed> {
  const commands = steps.map(shellLine)
  for (const [place, step] of steps.entries()) {
    const outcome = await attempt(step, options)
    if (outcome.kind === 'output' || (outcome.kind === 'failed' && step.mayFail === true)) continue
    const [program] = step.command
    const why = outcome.kind === 'missing' ? `${program} is not installed` : `${shellLine(step)} failed: ${outcome.text.trim() || outcome.reason}`
    return { commands: commands.slice(place), notes: [`${why}. Run by hand what is left: ${commands.slice(place).join(' && ')}`, ...notes], done: false, why }
  }
  return { commands, notes, done: true, why: '' }
}

async function attempt(step: Step, options: RemoveServiceOptions): Promise<ToolOutcome> {
  const [program, ...args] = step.command
  for (let left = (step.tries ?? 1) - 1; ; left--) {
    const outcome = await runTool(program, args, { ...commandLimits, ...(options.env === undefined ? {} : { env: options.env }) })
    if (outcome.kind !== 'failed' || left <= 0) return outcome
    await pause(retryMs)
  }
}

function shellLine(step: Step): string {
  return step.command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw storageFault('read', path, thrown)
  }
}

/** Never leaves half a definition behind. */
async function writeWhole(path: string, text: string): Promise<void> {
  const partial = join(dirname(path), `.${systemdUnitName}.${process.pid}.partial`)
  try {
    await writeFile(partial, text, { mode: 0o600 })
    await rename(partial, path)
  } catch (thrown) {
    await rm(partial, { force: true })
    throw thrown
  }
}

function storageFault(verb: string, path: string, thrown: unknown): MeshError {
  return new MeshError('storage-failed', `cannot ${verb} ${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { retryable: false, next: 'check the folder’s owner and permissions' })
}
