/** Runs git so that a stranger's repository cannot run anything and nobody is ever asked for a password. */
import { spawn } from 'node:child_process'
import { MeshError } from '../../protocols/kernel/errors.ts'

/** Settings of a repository that would start a program, switched off on the command line, which outranks the repository. */
const harmless = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null', '-c', 'log.showSignature=false', '-c', 'protocol.ext.allow=never', '-c', 'core.quotePath=false']

const inherited = ['PATH', 'HOME', 'USER', 'LANG', 'TMPDIR', 'SSH_AUTH_SOCK', 'SSH_AGENT_PID', 'GIT_SSH', 'GIT_SSH_COMMAND', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'GIT_SSL_CAINFO', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'all_proxy', 'XDG_CONFIG_HOME', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_NOSYSTEM'] as const

function gitEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    SSH_ASKPASS: 'true',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_PAGER: 'cat',
    GIT_ALLOW_PROTOCOL: 'https:http:ssh:git:file',
    GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=15',
    LC_ALL: 'C.UTF-8',
  }
  for (const name of inherited) {
    const value = process.env[name]
    if (value !== undefined) environment[name] = value
  }
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
    const child = spawn('git', [...harmless, ...args], {
      ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
      env: gitEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const chunks: Buffer[] = []
    let outputBytes = 0
    let stderr = ''
    let endedEarly = false
    let failure: MeshError | undefined
    const end = (error?: MeshError) => {
      failure ??= error
      endedEarly = true
      child.kill('SIGTERM')
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
    const settle = () => {
      clearTimeout(timer)
      run.signal?.removeEventListener('abort', onAbort)
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      settle()
      if (error.code === 'ENOENT') resolve(undefined)
      else reject(new MeshError('internal', `git could not be started: ${error.message}`))
    })
    child.on('close', (exitCode) => {
      settle()
      if (failure !== undefined) reject(failure)
      else resolve({ exitCode: exitCode ?? 1, stdout: Buffer.concat(chunks), stderr, endedEarly })
    })
  })
}
