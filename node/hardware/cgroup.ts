/**
 * What the control groups allow this process: version 2 (one tree) and version 1 (a tree per controller), also mixed.
 * A limit on any ancestor counts. Source: kernel documentation, admin-guide/cgroup-v2.rst and cgroup-v1.
 */
import { posix } from 'node:path'
import type { SystemFiles } from './system-files.ts'
import { numberIn } from './system-files.ts'

export interface CgroupLimits {
  /** Processors' worth of time per second; may be a fraction. */
  readonly cpus?: number
  readonly memoryBytes?: number
  /** What can still be had under every limit: the page cache, which the kernel would give back, does not count as used. */
  readonly memoryLeftBytes?: number
}

const mount = '/sys/fs/cgroup'

export async function readCgroupLimits(files: SystemFiles): Promise<CgroupLimits> {
  const membership = parseMembership((await files.read('/proc/self/cgroup')) ?? '')
  const cpuFolders = await foldersOf(files, membership.get('cpu'), ['cpu', 'cpu,cpuacct'])
  const memoryFolders = await foldersOf(files, membership.get('memory'), ['memory'])
  const unifiedFolders = [...ancestors(mount, membership.get('') ?? '/')]

  const cpus = [
    ...(await Promise.all(unifiedFolders.map(async (folder) => parseCpuMax(await files.read(posix.join(folder, 'cpu.max')))))),
    ...(await Promise.all(cpuFolders.map(async (folder) => quota(await files.read(posix.join(folder, 'cpu.cfs_quota_us')), await files.read(posix.join(folder, 'cpu.cfs_period_us')))))),
  ].filter((value) => value !== undefined)

  const memory = [
    ...(await Promise.all(unifiedFolders.map((folder) => memoryOf(files, folder, 'memory.max', 'memory.current', 'inactive_file')))),
    ...(await Promise.all(memoryFolders.map((folder) => memoryOf(files, folder, 'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')))),
  ].filter((value) => value !== undefined)
  const left = memory.flatMap(({ limitBytes, usedBytes }) => (usedBytes === undefined ? [] : [Math.max(0, limitBytes - usedBytes)]))

  return {
    ...(cpus.length === 0 ? {} : { cpus: Math.min(...cpus) }),
    ...(memory.length === 0 ? {} : { memoryBytes: Math.min(...memory.map(({ limitBytes }) => limitBytes)) }),
    ...(left.length === 0 ? {} : { memoryLeftBytes: Math.min(...left) }),
  }
}

/** `4:memory:/docker/ab`, `1:cpu,cpuacct:/` and, for version 2, `0::/user.slice`: controller → path; '' is version 2. */
export function parseMembership(text: string): Map<string, string> {
  const paths = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line.trim())
    if (match === null) continue
    for (const controller of (match[1] ?? '').split(',')) paths.set(controller, match[2] ?? '/')
  }
  return paths
}

/** `150000 100000` is one and a half; `max 100000` is no limit. */
export function parseCpuMax(text: string | undefined): number | undefined {
  const [limit, period] = (text ?? '').split(/\s+/)
  return quota(limit, period ?? '100000')
}

function quota(limit: string | undefined, period: string | undefined): number | undefined {
  const limitUs = numberIn(limit)
  const periodUs = numberIn(period)
  return limitUs === undefined || periodUs === undefined || limitUs <= 0 || periodUs <= 0 ? undefined : limitUs / periodUs
}

interface MemoryLimit {
  readonly limitBytes: number
  readonly usedBytes: number | undefined
}

async function memoryOf(files: SystemFiles, folder: string, limitFile: string, usageFile: string, reclaimable: string): Promise<MemoryLimit | undefined> {
  const limitBytes = numberIn(await files.read(posix.join(folder, limitFile)))
  // Version 1 writes "no limit" as the largest multiple of a page.
  if (limitBytes === undefined || limitBytes <= 0 || limitBytes >= 2 ** 62) return undefined
  const usageBytes = numberIn(await files.read(posix.join(folder, usageFile)))
  const statistics = (await files.read(posix.join(folder, 'memory.stat'))) ?? ''
  const cacheBytes = numberIn(new RegExp(`^${reclaimable} (\\d+)$`, 'm').exec(statistics)?.[1]) ?? 0
  return { limitBytes, usedBytes: usageBytes === undefined ? undefined : Math.max(0, usageBytes - cacheBytes) }
}

async function foldersOf(files: SystemFiles, path: string | undefined, controllers: readonly string[]): Promise<string[]> {
  if (path === undefined) return []
  const mounted = await files.list(mount)
  return controllers.filter((name) => mounted.includes(name)).flatMap((name) => [...ancestors(posix.join(mount, name), path)])
}

/** In a container the path may be the host's and not exist here: its ancestors, down to the mount itself, still do. */
function* ancestors(base: string, path: string): Generator<string> {
  const parts = posix.normalize(path).split('/').filter((part) => part !== '' && part !== '..')
  for (let length = parts.length; length >= 0; length--) yield posix.join(base, ...parts.slice(0, length))
}
