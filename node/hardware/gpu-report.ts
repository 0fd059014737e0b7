/** What a tool said about one GPU, before memory that it shares with the system is filled in. */
import type { Gpu } from '../../protocols/capability/schema.ts'

export interface GpuReport {
  readonly vendor: Gpu['vendor']
  readonly model: string
  /** Absent when the tool does not tell. */
  readonly vramBytes?: number
  readonly vramFreeBytes?: number
  /** Present when the GPU has no memory of its own: the part of the system's memory that it may use, in (0,1]. */
  readonly sharedFraction?: number
  /** In [0,1]. */
  readonly utilisation?: number
}

export interface SystemMemory {
  readonly memoryBytes: number
  readonly memoryFreeBytes: number
}

/**
 * The advert's view of a report. A GPU that shares the system's memory gets its fraction of that memory, and as free
 * what of it the system has free now. What no tool tells counts as 0: a node never offers memory that it cannot see.
 */
export function gpuFrom(report: GpuReport, memory: SystemMemory): Gpu {
  const shared = report.sharedFraction
  const vramBytes = report.vramBytes ?? (shared === undefined ? 0 : Math.floor(memory.memoryBytes * shared))
  const freeBytes = report.vramFreeBytes ?? (shared === undefined ? 0 : memory.memoryFreeBytes)
  return {
    vendor: report.vendor,
    model: report.model.slice(0, 128),
    vramBytes,
    vramFreeBytes: Math.min(vramBytes, freeBytes),
    ...(report.utilisation === undefined ? {} : { utilisation: report.utilisation }),
  }
}

/** A percentage as a fraction in [0,1]; undefined for what is no number. */
export function fractionOfPercent(percent: number | undefined): number | undefined {
  return percent === undefined ? undefined : Math.min(1, Math.max(0, percent / 100))
}

/**
 * The JSON object or array in a tool's output: some tools print warnings before or after it.
 * @returns undefined when there is none that can be read.
 */
export function jsonIn(text: string): unknown {
  let tries = 0
  for (const start of text.matchAll(/^[ \t]*[{[]/gm)) {
    if (++tries > 20) return undefined
    const close = start[0].endsWith('{') ? '}' : ']'
    try {
      return JSON.parse(text.slice(start.index, text.lastIndexOf(close) + 1)) as unknown
    } catch {
      // `[WARNING] …` begins like an array but is none: the next line may begin the real thing.
    }
  }
  return undefined
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
