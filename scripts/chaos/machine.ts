/** What this machine lets a campaign do: network namespaces, small disks, a disk that forgets. What is missing is said, and left out. */
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface MachineLacks {
  /** Why there can be no network namespaces, hence no partitions. */
  readonly namespaces?: string
  /** Why there can be no disk of a limited size. */
  readonly mounts?: string
  /** Why unsynced writes cannot be dropped. */
  readonly shim?: string
}

const debianPackages: Readonly<Record<string, readonly string[]>> = { gcc: ['gcc', 'libc6-dev'], nft: ['nftables'], ip: ['iproute2'] }

/** One clock for all processes of this machine, in milliseconds: times of the ledger can be compared with those of the readers. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export function findProgram(name: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'].map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

export function run(program: string, args: readonly string[], input?: string): string {
  return execFileSync(findProgram(program) ?? program, args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], ...(input === undefined ? {} : { input }) })
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** As root on Debian: installs what is not there. Elsewhere it says what to install. Never fails: what is still missing is left out later. */
export function installMissing(say: (line: string) => void): void {
  const missing = Object.keys(debianPackages).filter((name) => findProgram(name) === undefined)
  if (missing.length === 0 || process.platform !== 'linux') return
  const packages = missing.flatMap((name) => debianPackages[name] ?? [])
  if (process.getuid?.() !== 0 || findProgram('apt-get') === undefined) {
    say(`not installed: ${missing.join(', ')} (Debian: apt-get install ${packages.join(' ')})`)
    return
  }
  say(`installing ${packages.join(' ')}`)
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    execFileSync('apt-get', ['update', '-qq'], { stdio: 'pipe', env })
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { stdio: 'pipe', env })
  } catch (thrown) {
    say(`could not install ${packages.join(' ')}: ${reasonOf(thrown)}`)
  }
}

/** Tries each thing once, for being root is not enough in every container. */
export function probeMachine(folder: string): MachineLacks {
  const root = process.platform !== 'linux' ? 'this is not Linux' : process.getuid?.() === 0 ? undefined : 'needs root'
  const namespaces = root ?? lackOf(['ip', 'nft']) ?? attempt(() => {
    const name = `skein-probe-${process.pid}`
    run('ip', ['netns', 'add', name])
    try {
      run('ip', ['netns', 'exec', name, findProgram('nft') ?? 'nft', '-f', '-'], 'table inet probe {\nchain input {\ntype filter hook input priority 0;\nip saddr 192.0.2.1 drop\n}\n}\n')
    } finally {
      run('ip', ['netns', 'delete', name])
    }
  })
  const mounts = root ?? lackOf(['mount', 'umount']) ?? attempt(() => {
    run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder])
    run('umount', [folder])
  })
  const shim = process.platform !== 'linux' ? 'this is not Linux' : lackOf(['gcc'])
  return { ...(namespaces === undefined ? {} : { namespaces }), ...(mounts === undefined ? {} : { mounts }), ...(shim === undefined ? {} : { shim }) }
}

function lackOf(programs: readonly string[]): string | undefined {
  const missing = programs.filter((name) => findProgram(name) === undefined)
  return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')} (Debian: apt-get install ${missing.flatMap((name) => debianPackages[name] ?? [name]).join(' ')})`
}

function attempt(action: () => void): string | undefined {
  try {
    action()
    return undefined
  } catch (thrown) {
    return `not allowed here (${reasonOf(thrown)})`
  }
}

export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const told = 'stderr' in thrown && typeof thrown.stderr === 'string' ? thrown.stderr.trim() : ''
  return (told === '' ? thrown.message : told).split('\n').at(-1)?.slice(0, 200) ?? ''
}
