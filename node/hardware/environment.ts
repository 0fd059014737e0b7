/** What this machine lends the node: processors, memory, and where it stands. */
import type { Environment } from '../../protocols/capability/schema.ts'
import type { Battery } from './battery.ts'
import { parsePmset, pmsetArguments, readLinuxBattery } from './battery.ts'
import type { CgroupLimits } from './cgroup.ts'
import { readCgroupLimits } from './cgroup.ts'
import { detectCloud } from './cloud.ts'
import { detectContainer } from './container.ts'
import type { RunTool } from './run-tool.ts'
import type { SystemFiles } from './system-files.ts'
import { numberIn } from './system-files.ts'

/** What Node knows about the machine. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly arch: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Processors this process may run on: respects affinity (cpusets). */
  cores(): number
  memoryBytes(): number
  memoryFreeBytes(): number
  /** Load of the last minute, in processes. 0 where the system has none. */
  loadAverage(): number
}

export interface EnvironmentProbe {
  /** Never rejects. What cannot change while the process lives is found out once. */
  read(): Promise<Environment>
}

export function createEnvironmentProbe(machine: Machine, files: SystemFiles, runTool: RunTool, toolTimeoutMs: number): EnvironmentProbe {
  const linux = machine.platform === 'linux'
  let place: Promise<Pick<Environment, 'container' | 'cloud'>> | undefined

  async function findPlace(): Promise<Pick<Environment, 'container' | 'cloud'>> {
    if (!linux) return {}
    const [container, cloud] = await Promise.all([detectContainer(files, machine.env), detectCloud(files)])
    return { ...(container === undefined ? {} : { container }), ...(cloud === undefined ? {} : { cloud }) }
  }

  async function readBattery(): Promise<Battery | undefined> {
    if (linux) return readLinuxBattery(files)
    if (machine.platform !== 'darwin') return undefined
    const outcome = await runTool('/usr/bin/pmset', pmsetArguments, { timeoutMs: toolTimeoutMs, outputBytesMax: 64 * 1024 })
    return outcome.kind === 'output' ? parsePmset(outcome.text) : undefined
  }

  return {
    async read() {
      place ??= findPlace()
      const [found, limits, memory, battery] = await Promise.all([place, linux ? readCgroupLimits(files) : {}, readMemory(machine, files), readBattery()])
      return {
        os: machine.platform,
        arch: machine.arch,
        cores: coresWithin(machine.cores(), limits),
        ...memoryWithin(memory, limits),
        ...found,
        ...(battery === undefined ? {} : { battery }),
      }
    },
  }
}

/** Whole processors: a quota of one and a half runs one busy thread at full speed, not two. */
function coresWithin(cores: number, limits: CgroupLimits): number {
  return Math.max(1, Math.min(cores, limits.cpus === undefined ? cores : Math.floor(limits.cpus)))
}

interface Memory {
  readonly memoryBytes: number
  readonly memoryFreeBytes: number
}

function memoryWithin(memory: Memory, limits: CgroupLimits): Memory {
  const memoryBytes = Math.min(memory.memoryBytes, limits.memoryBytes ?? memory.memoryBytes)
  return { memoryBytes, memoryFreeBytes: Math.min(memoryBytes, memory.memoryFreeBytes, limits.memoryLeftBytes ?? memoryBytes) }
}

/** Linux: what can be had without swapping (MemAvailable), which counts the cache that the kernel would give back. */
async function readMemory(machine: Machine, files: SystemFiles): Promise<Memory> {
  const fallback = { memoryBytes: Math.max(0, Math.floor(machine.memoryBytes())), memoryFreeBytes: Math.max(0, Math.floor(machine.memoryFreeBytes())) }
  if (machine.platform !== 'linux') return fallback
  const text = (await files.read('/proc/meminfo')) ?? ''
  const kibibytes = (name: string): number | undefined => numberIn(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1])
  const total = kibibytes('MemTotal')
  const available = kibibytes('MemAvailable') ?? kibibytes('MemFree')
  if (total === undefined || available === undefined) return fallback
  return { memoryBytes: total * 1024, memoryFreeBytes: Math.min(total, available) * 1024 }
}
