/**
 * Asks the platform's tools for its GPUs: not more often than `intervalMs`, never at the same time twice, and rarely again
 * for a tool that is not installed. What a tool prints is parsed elsewhere.
 */
import { amdMetricArguments, amdStaticArguments, parseAmdSmi, parseRocmSmi, rocmArguments } from './rocm-smi.ts'
import type { GpuReport } from './gpu-report.ts'
import type { NvidiaGpu } from './nvidia-smi.ts'
import { nvidiaColumns, nvidiaColumnsBeforeMig, nvidiaDetailArguments, nvidiaQueryArguments, parseNvidiaMig, parseNvidiaSmi } from './nvidia-smi.ts'
import type { RunTool, ToolOutcome } from './run-tool.ts'
import { parseSystemProfiler, systemProfilerArguments } from './system-profiler.ts'

export interface GpuProbeOptions {
  readonly platform: NodeJS.Platform
  readonly memoryBytes: number
  readonly runTool: RunTool
  /** Milliseconds on a clock that never goes back. */
  readonly monotonicMs: () => number
  /** The least time between two runs of a tool. */
  readonly intervalMs: number
  /** The least time between two looks for a tool that was not there. */
  readonly missingIntervalMs: number
  readonly toolTimeoutMs: number
  readonly toolOutputBytesMax: number
  /** How long reports outlive a tool that has begun to fail: a driver under load misses a deadline now and then. */
  readonly keepMs: number
}

export interface GpuProbe {
  /** What was told last, after waiting at most `waitMs` for what is being asked now. Never rejects. */
  reports(waitMs: number): Promise<readonly GpuReport[]>
}

/** One family of tools. Undefined: it failed; 'missing': none of it is installed. */
type Ask = () => Promise<readonly GpuReport[] | 'missing' | undefined>

interface Source {
  readonly ask: Ask
  reports: readonly GpuReport[]
  toldAtMs: number
  askAgainAtMs: number
  asking: Promise<void> | undefined
}

export function createGpuProbe(options: GpuProbeOptions): GpuProbe {
  const { monotonicMs } = options
  const sources = asksFor(options).map((ask): Source => ({ ask, reports: [], toldAtMs: 0, askAgainAtMs: 0, asking: undefined }))

  async function refresh(source: Source): Promise<void> {
    const answer = await source.ask()
    const nowMs = monotonicMs()
    source.askAgainAtMs = nowMs + (answer === 'missing' ? options.missingIntervalMs : options.intervalMs)
    if (answer === undefined && nowMs - source.toldAtMs < options.keepMs) return
    source.reports = Array.isArray(answer) ? (answer as readonly GpuReport[]) : []
    source.toldAtMs = nowMs
  }

  return {
    async reports(waitMs) {
      const pending = sources.flatMap((source) => {
        if (source.asking === undefined && monotonicMs() >= source.askAgainAtMs) {
          source.asking = refresh(source).finally(() => {
            source.asking = undefined
          })
        }
        return source.asking === undefined ? [] : [source.asking]
      })
      if (pending.length > 0) await atMost(waitMs, Promise.all(pending))
      return sources.flatMap((source) => source.reports)
    },
  }
}

async function atMost(waitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs)
  })
  await Promise.race([work, limit])
  clearTimeout(timer)
}

function asksFor(options: GpuProbeOptions): Ask[] {
  const limits = { timeoutMs: options.toolTimeoutMs, outputBytesMax: options.toolOutputBytesMax }

  /** The first of several places in which the tool exists. */
  async function run(files: readonly string[], args: readonly string[]): Promise<ToolOutcome> {
    for (const file of files) {
      const outcome = await options.runTool(file, args, limits)
      if (outcome.kind !== 'missing') return outcome
    }
    return { kind: 'missing' }
  }

  if (options.platform === 'darwin') {
    return [async () => told(await run(['/usr/sbin/system_profiler', 'system_profiler'], systemProfilerArguments), (text) => parseSystemProfiler(text, options.memoryBytes))]
  }
  if (options.platform !== 'linux') return []
  return [nvidiaAsk(run), amdAsk(run)]
}

type Run = (files: readonly string[], args: readonly string[]) => Promise<ToolOutcome>

function nvidiaAsk(run: Run): Ask {
  // WSL keeps the tool outside PATH for some shells and for services.
  const files = ['nvidia-smi', '/usr/bin/nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi']
  let columns: readonly string[] = nvidiaColumns
  return async () => {
    let outcome = await run(files, nvidiaQueryArguments(columns))
    if (outcome.kind === 'failed' && columns === nvidiaColumns && /not a valid field/i.test(outcome.text)) {
      columns = nvidiaColumnsBeforeMig
      outcome = await run(files, nvidiaQueryArguments(columns))
    }
    const gpus = outcome.kind === 'output' ? parseNvidiaSmi(outcome.text, columns) : told(outcome, (): NvidiaGpu[] => [])
    if (gpus === undefined || gpus === 'missing') return gpus
    if (!gpus.some((gpu) => gpu.mig)) return gpus.map((gpu) => gpu.report)

    // A divided card cannot be used as a whole; without its parts' sizes it is not offered at all.
    const detail = await run(files, nvidiaDetailArguments)
    const instances = detail.kind === 'output' ? parseNvidiaMig(detail.text) : new Map<string, GpuReport[]>()
    return gpus.flatMap((gpu) => (gpu.mig ? (instances.get(gpu.uuid ?? '') ?? []) : [gpu.report]))
  }
}

function amdAsk(run: Run): Ask {
  let asic: string | undefined
  return async () => {
    const rocm = told(await run(['rocm-smi', '/opt/rocm/bin/rocm-smi'], rocmArguments), parseRocmSmi)
    if (Array.isArray(rocm) && rocm.length > 0) return rocm
    const amdSmi = ['amd-smi', '/opt/rocm/bin/amd-smi']
    const metric = await run(amdSmi, amdMetricArguments)
    if (metric.kind !== 'output') return metric.kind === 'missing' ? rocm : undefined
    if (asic === undefined) {
      const names = await run(amdSmi, amdStaticArguments)
      if (names.kind === 'output') asic = names.text
    }
    return parseAmdSmi(metric.text, asic ?? '')
  }
}

function told<T>(outcome: ToolOutcome, parse: (text: string) => T[]): T[] | 'missing' | undefined {
  if (outcome.kind === 'missing') return 'missing'
  return outcome.kind === 'output' ? parse(outcome.text) : undefined
}
