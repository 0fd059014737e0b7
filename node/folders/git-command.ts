/** Runs git so that a stranger's repository cannot run anything and nobody is ever asked for a password. */
import { spawn } from 'node:child_process'
import { MeshError } from '../../protocols/kernel/errors.ts'

/** Settings of a repository that would start a program, switched off on the command line, which outranks the repository. */
const harmless = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null', '-c', 'log.showSignature=false', '-c', 'protocol.ext.allow=never', '-c', 'core.quotePath=false']

const inherited = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'SSH_AUTH_SOCK', 'SSH_AGENT_PID', 'GIT_SSH', 'GIT_SSH_COMMAND', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'GIT_SSL_CAINFO', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'all_proxy', 'XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_NOSYSTEM'] as const

/** What stands for this machine's owner: nothing of it is lent to a clone for somebody else. */
function isOwners(name: string): boolean {
  return name.startsWith('GIT_') || name.startsWith('SSH_A')
}

/** ssh must fail rather than ask, whatever the command was: ssh takes the first value it is given, so earlier ones go. */
function neverAsking(sshCommand: string): string {
  return `${sshCommand.replaceAll(/\s-o\s*["']?BatchMode[= ]\w+["']?/gi, '')} -o BatchMode=yes`
}

/**
 * @param withoutOwnersAccess leaves out the owner's agent, settings of git and whatever else `GIT_*` holds
 * @returns the variables that git runs with
 */
export function gitEnvironment(withoutOwnersAccess: boolean): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    SSH_ASKPASS: 'true',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_PAGER: 'cat',
    GIT_ALLOW_PROTOCOL: 'https:http:ssh:git:file',
    GIT_SSH_COMMAND: 'ssh -o ConnectTimeout=15',
    LC_ALL: 'C.UTF-8',
  }
  for (const name of inherited) {
    const value = process.env[name]
    if (value !== undefined && !(withoutOwnersAccess && isOwners(name))) environment[name] = value
  }
  // Left unset, git would read the owner's ~/.gitconfig, which can hold tokens and rewrite addresses.
  if (withoutOwnersAccess) environment['GIT_CONFIG_GLOBAL'] = '/dev/null'
  environment['GIT_SSH_COMMAND'] = neverAsking(environment['GIT_SSH_COMMAND'] ?? 'ssh')
  return environment
}

export interface GitRun {
  readonly cwd?: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Called with standard output as it arrives, instead of collecting it. Return false to end git early. */
  readonly onOutput?: (chunk: Buffer) => boolean
  /** Output kept at most; git is ended beyond it. */
  readonly outputBytesMax?: number
  /** Runs git for somebody else: without the owner's ssh agent, passwords and settings, and without following redirects. */
  readonly withoutOwnersAccess?: boolean
}

/** An empty helper clears the list of helpers. A redirect could lead where the address itself would be refused. */
const withoutAccess = ['-c', 'credential.helper=', '-c', 'http.followRedirects=false']

/** How long git may take to tidy up after SIGTERM. */
const tidyMs = 1_000

/** The groups that run, so that none outlives this program: they do not get the terminal's Ctrl-C. */
const running = new Set<number>()
process.on('exit', () => {
  for (const pid of running) signalGroup(pid, 'SIGKILL')
})

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // The group is gone already.
  }
}

export interface GitEnded {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: string
  readonly endedEarly: boolean
}

/**
 * @returns how git ended, whatever its exit code; undefined when there is no git on this machine.
 * @throws MeshError `timeout` past the time limit, `cancelled` on abort.
 */
export function runGit(args: readonly string[], run: GitRun): Promise<GitEnded | undefined> {
  return new Promise((resolve, reject) => {
    if (run.signal?.aborted === true) {
      reject(new MeshError('cancelled', 'git was not started: the work was cancelled'))
      return
    }
    const withoutOwnersAccess = run.withoutOwnersAccess === true
    const child = spawn('git', [...harmless, ...(withoutOwnersAccess ? withoutAccess : []), ...args], {
      ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
      env: gitEnvironment(withoutOwnersAccess),
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that ssh and git's other children can be ended with it.
      detached: true,
    })
    const { pid } = child
    if (pid !== undefined) running.add(pid)
    const chunks: Buffer[] = []
    let outputBytes = 0
    let stderr = ''
    let endedEarly = false
    let exited: number | undefined
    let failure: MeshError | undefined
    let killTimer: NodeJS.Timeout | undefined
    const end = (error?: MeshError) => {
      failure ??= error
      if (endedEarly || pid === undefined) return
      endedEarly = true
      if (exited !== undefined) {
        settle(exited)
        return
      }
      signalGroup(pid, 'SIGTERM')
      killTimer = setTimeout(() => signalGroup(pid, 'SIGKILL'), tidyMs)
    }
    const timer = setTimeout(() => end(new MeshError('timeout', `git ${args[0] ?? ''} took longer than ${Math.round(run.timeoutMs / 1_000)} s`, { next: 'check the network and the size of the repository, or clone it yourself and give the folder' })), run.timeoutMs)
    const onAbort = () => end(new MeshError('cancelled', 'git was stopped: the work was cancelled'))
    run.signal?.addEventListener('abort', onAbort, { once: true })
    child.stdout.on('data', (chunk: Buffer) => {
      if (run.onOutput !== undefined) {
        if (!endedEarly && !run.onOutput(chunk)) end()
        return
      }
      outputBytes += chunk.byteLength
      if (outputBytes > (run.outputBytesMax ?? 64 * 1024 * 1024)) end()
      else chunks.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-8_000)
    })
    const release = () => {
      clearTimeout(timer)
      clearTimeout(killTimer)
      run.signal?.removeEventListener('abort', onAbort)
      if (pid !== undefined) running.delete(pid)
    }
    const settle = (exitCode: number) => {
      release()
      if (endedEarly) {
        // Whoever is left of the group would go on writing, and holds the pipes open.
        if (pid !== undefined) signalGroup(pid, 'SIGKILL')
        child.stdout.destroy()
        child.stderr.destroy()
      }
      if (failure !== undefined) reject(failure)
      else resolve({ exitCode, stdout: Buffer.concat(chunks), stderr, endedEarly })
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      release()
      if (error.code === 'ENOENT') resolve(undefined)
      else reject(new MeshError('internal', `git could not be started: ${error.message}`))
    })
    child.on('exit', (exitCode) => {
      exited = exitCode ?? 1
      // Ended by us, its exit is the end: a child that outlives it may hold the pipes open for ever. Else output may still be on its way.
      if (endedEarly) settle(exited)
    })
    child.on('close', (exitCode) => {
      if (!endedEarly) settle(exitCode ?? 1)
    })
  })
}
