/**
 * The `Hardware` port on a real machine: GPUs by the vendors' tools, the rest from files, the operating system and Node itself.
 *
 * @packageDocumentation
 * ```ts
 * const hardware = createSystemHardware()
 * const { gpus, environment, cpu, loopDelayMs } = await hardware.sample()
 * hardware.close()
 * ```
 */
import { arch, availableParallelism, freemem, loadavg, totalmem } from 'node:os'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Hardware } from '../../actors/ports/hardware.ts'
import type { Machine } from './environment.ts'
import { createEnvironmentProbe } from './environment.ts'
import { createGpuProbe } from './gpu-probe.ts'
import { gpuFrom } from './gpu-report.ts'
import type { RunTool } from './run-tool.ts'
import { runTool } from './run-tool.ts'
import { createSystemFiles } from './system-files.ts'

export interface SystemHardwareOptions {
  /** The least time between two runs of a GPU tool. Default 10 s. */
  readonly gpuIntervalMs?: number
  /** The least time between two looks for a GPU tool that is not installed. Default 10 min. */
  readonly missingToolIntervalMs?: number
  /** After this a tool is killed. Default 5 s: without persistence mode nvidia-smi wakes the card first. */
  readonly toolTimeoutMs?: number
  /** How long a sample waits for a slow GPU tool before it repeats what was told last; the first waits for the whole time limit. Default 1 s. */
  readonly gpuWaitMs?: number
  /** Prefixed to the paths of system files. Default `/`. */
  readonly root?: string
  /** Replaces parts of what Node tells about the machine. */
  readonly machine?: Partial<Machine>
  readonly runTool?: RunTool
  readonly monotonicMs?: () => number
}

export interface SystemHardware extends Hardware {
  /** Stops measuring the event loop. A sample after that tells a delay of 0. */
  close(): void
}

/** The advert's limit on the number of GPUs. */
const gpusMax = 64
const loopResolutionMs = 20
const toolOutputBytesMax = 8 * 1024 * 1024
const keepReportsMs = 60_000

export function createSystemHardware(options: SystemHardwareOptions = {}): SystemHardware {
  const machine: Machine = { ...thisMachine, ...options.machine }
  const run = options.runTool ?? runTool
  const toolTimeoutMs = options.toolTimeoutMs ?? 5_000
  const environment = createEnvironmentProbe(machine, createSystemFiles(options.root), run, toolTimeoutMs)
  const gpuProbe = createGpuProbe({
    platform: machine.platform,
    memoryBytes: machine.memoryBytes(),
    runTool: run,
    monotonicMs: options.monotonicMs ?? (() => performance.now()),
    intervalMs: options.gpuIntervalMs ?? 10_000,
    missingIntervalMs: options.missingToolIntervalMs ?? 600_000,
    toolTimeoutMs,
    toolOutputBytesMax,
    keepMs: keepReportsMs,
  })
  const loop = monitorEventLoopDelay({ resolution: loopResolutionMs })
  loop.enable()
  let first = true

  return {
    async sample() {
      // A probe asks up to three tools one after the other.
      const gpuWaitMs = first ? toolTimeoutMs * 3 : (options.gpuWaitMs ?? 1_000)
      first = false
      const [found, reports] = await Promise.all([environment.read(), gpuProbe.reports(gpuWaitMs)])
      return {
        environment: found,
        gpus: reports.slice(0, gpusMax).map((report) => gpuFrom(report, found)),
        cpu: Math.max(0, machine.loadAverage()) / found.cores,
        loopDelayMs: loopDelayMs(),
      }
    },
    close() {
      loop.disable()
      loop.reset()
    },
  }

  /** Since the last sample. The histogram holds the time between two ticks of its timer, the timer's own period included. */
  function loopDelayMs(): number {
    const delayMs = loop.count === 0 ? 0 : Math.max(0, loop.percentile(99) / 1e6 - loopResolutionMs)
    loop.reset()
    return delayMs
  }
}

const thisMachine: Machine = {
  platform: process.platform,
  arch: arch(),
  env: process.env,
  cores: availableParallelism,
  memoryBytes: totalmem,
  memoryFreeBytes: freemem,
  loadAverage: () => loadavg()[0] ?? 0,
}
