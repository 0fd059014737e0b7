/** What a program and everything it started use, and how to end them all. */
import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'

export interface ProcessReading {
  readonly pid: number
  readonly parentPid: number
  readonly groupId: number
  /** One letter as in ps(1): R, S, D, T (stopped), Z (ended), … */
  readonly state: string
  readonly memoryBytes: number
}

/** One line of `/proc/PID/stat` (proc(5)). The name in parentheses may itself hold spaces and parentheses. */
export function parseProcStat(text: string, pageBytes: number): ProcessReading | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).trim().split(' ')
  const [state, parentPid, groupId] = fields
  const pages = fields[21]
  if (state === undefined || parentPid === undefined || groupId === undefined || pages === undefined) return undefined
  return { pid: Number.parseInt(text, 10), state, parentPid: Number(parentPid), groupId: Number(groupId), memoryBytes: Number(pages) * pageBytes }
}

/** Lines of `ps -A -o pid=,ppid=,pgid=,state=,rss=`; rss is in KiB. */
export function parsePs(text: string): ProcessReading[] {
  return text.split('\n').flatMap((line) => {
    const [pid, parentPid, groupId, state, rss] = line.trim().split(/\s+/)
    if (pid === undefined || parentPid === undefined || groupId === undefined || state === undefined || rss === undefined) return []
    return [{ pid: Number(pid), parentPid: Number(parentPid), groupId: Number(groupId), state: state.slice(0, 1), memoryBytes: Number(rss) * 1024 }]
  })
}

/** The process, all its descendants and the rest of its group. A descendant whose parents ended and that left the group is not found. */
export function treeOf(readings: readonly ProcessReading[], rootPid: number): ProcessReading[] {
  const byParent = Map.groupBy(readings, (reading) => reading.parentPid)
  const found = new Map<number, ProcessReading>()
  const pending = readings.filter((reading) => reading.pid === rootPid || reading.groupId === rootPid)
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next.pid)) continue
    found.set(next.pid, next)
    pending.push(...(byParent.get(next.pid) ?? []))
  }
  return [...found.values()]
}

let ownPageBytes: number | undefined

/** Not told by /proc: this process' resident bytes over its resident pages, to the nearest power of two. */
async function pageBytes(): Promise<number> {
  const pages = parseProcStat(await readFile('/proc/self/stat', 'latin1'), 1)?.memoryBytes ?? 0
  ownPageBytes ??= pages > 0 ? 2 ** Math.round(Math.log2(process.memoryUsage.rss() / pages)) : 4096
  return ownPageBytes
}

/** Every process of the machine that can be seen. Empty when neither /proc nor ps(1) is there. */
async function readAll(): Promise<ProcessReading[]> {
  if (process.platform !== 'linux') {
    return new Promise((resolve) => {
      execFile('ps', ['-A', '-o', 'pid=,ppid=,pgid=,state=,rss='], { timeout: 5_000 }, (_failed, stdout) => resolve(parsePs(stdout)))
    })
  }
  const names = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const bytes = ownPageBytes ?? (await pageBytes().catch(() => 4096))
  const readings = await Promise.all(names.map((name) => readFile(`/proc/${name}/stat`, 'latin1').then((text) => parseProcStat(text, bytes), () => undefined)))
  return readings.filter((reading) => reading !== undefined)
}

/** @param rootPid leader of its own process group. */
export async function readProcessTree(rootPid: number): Promise<ProcessReading[]> {
  return treeOf(await readAll(), rootPid)
}

/** Kills the group at once and then whatever of the tree had left the group. */
export async function killProcessTree(rootPid: number): Promise<void> {
  const strays = readProcessTree(rootPid)
  // The tree is read before anything dies: afterwards the orphans belong to init.
  const members = await strays.catch(() => [])
  kill(-rootPid)
  for (const { pid } of members) kill(pid)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}
