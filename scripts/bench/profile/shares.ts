/** Reads V8's sampled profiles: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile. */
import { repositoryRoot } from '../table.ts'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  /** Microseconds from one sample to the next. */
  readonly timeDeltas: readonly number[]
}

export interface FunctionShare {
  readonly name: string
  /** Path and line, short. */
  readonly where: string
  readonly file: string
  /** Of the busy time, by itself and with all that it calls: in [0,1]. */
  readonly self: number
  readonly total: number
}

/** What is not work of this process. `(program)` is native code that V8 knows no name for: it stays. */
const idleNames: ReadonlySet<string> = new Set(['(idle)', '(root)'])

/** @param within seconds since the profile began. */
export function shareOfFunctions({ nodes, samples, timeDeltas }: CpuProfile, within: { readonly fromS: number; readonly toS: number } = { fromS: 0, toS: Infinity }): { busyMs: number; functions: FunctionShare[] } {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parents = new Map<number, number>()
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node.id)
  const selfMicros = new Map<number, number>()
  let busyMicros = 0
  let atMicros = 0
  for (const [index, id] of samples.entries()) {
    const took = timeDeltas[index] ?? 0
    atMicros += took
    if (atMicros < within.fromS * 1e6 || atMicros > within.toS * 1e6 || idleNames.has(byId.get(id)?.callFrame.functionName ?? '')) continue
    busyMicros += took
    selfMicros.set(id, (selfMicros.get(id) ?? 0) + took)
  }
  const shares = new Map<string, { name: string; where: string; file: string; self: number; total: number }>()
  const shareOf = ({ callFrame: { functionName, url, lineNumber } }: ProfileNode) => {
    const file = shortPath(url)
    const key = `${functionName} ${url}:${lineNumber}`
    const known = shares.get(key) ?? { name: functionName === '' ? '(anonymous)' : functionName, where: file === '' ? '' : `${file}:${lineNumber + 1}`, file, self: 0, total: 0 }
    shares.set(key, known)
    return known
  }
  for (const [id, took] of selfMicros) {
    const node = byId.get(id)
    if (node === undefined) continue
    shareOf(node).self += took / busyMicros
    // A function that calls itself counts once for each sample.
    const counted = new Set<object>()
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const above = byId.get(at)
      if (above === undefined || idleNames.has(above.callFrame.functionName)) continue
      const share = shareOf(above)
      if (counted.has(share)) continue
      counted.add(share)
      share.total += took / busyMicros
    }
  }
  return { busyMs: busyMicros / 1_000, functions: [...shares.values()].sort((left, right) => right.self - left.self) }
}

/** By file of Skein, by package, or by module of Node itself. */
export function shareOfFiles(functions: readonly FunctionShare[]): { file: string; self: number }[] {
  const files = new Map<string, number>()
  for (const { file, name, self } of functions) {
    const of = file === '' ? name : (/^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? file)
    files.set(of, (files.get(of) ?? 0) + self)
  }
  return [...files].map(([file, self]) => ({ file, self })).sort((left, right) => right.self - left.self)
}

function shortPath(url: string): string {
  const path = url.startsWith('file://') ? decodeURIComponent(new URL(url).pathname) : url
  return path.startsWith(`${repositoryRoot}/`) ? path.slice(repositoryRoot.length + 1) : path
}
