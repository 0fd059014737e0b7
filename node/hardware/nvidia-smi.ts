/**
 * What `nvidia-smi` prints. Running it is `gpu-probe.ts`'s work.
 *
 * Source: `nvidia-smi --help-query-gpu`; values that a device does not tell are `[N/A]`, `N/A` or `[Not Supported]`.
 * The parsers were tried on recorded public output (test/fixtures/hardware/SOURCES.md), not on a device of our own.
 */
import type { GpuReport } from './gpu-report.ts'
import { fractionOfPercent } from './gpu-report.ts'

export const nvidiaColumns = ['index', 'uuid', 'name', 'memory.total', 'memory.free', 'utilization.gpu', 'mig.mode.current'] as const
/** Drivers before 450 refuse the whole query when it names `mig.mode.current`. */
export const nvidiaColumnsBeforeMig = nvidiaColumns.filter((column) => column !== 'mig.mode.current')

export function nvidiaQueryArguments(columns: readonly string[]): string[] {
  return [`--query-gpu=${columns.join(',')}`, '--format=csv,noheader,nounits']
}

export interface NvidiaGpu {
  readonly uuid?: string
  readonly report: GpuReport
  /** The card is divided: only its MIG instances can be used, see `parseNvidiaMig`. */
  readonly mig: boolean
}

const MiB = 1024 * 1024
const notTold = /^\[?\s*(n\/?a|not supported|not available|insufficient permissions)\s*\]?$/i

/**
 * Systems on a chip whose GPU has no memory of its own: nvidia-smi answers `[N/A]` for theirs.
 * https://docs.nvidia.com/dgx/dgx-spark/known-issues.html
 */
const sharesSystemMemory = /\b(GB10|DGX Spark|Thor|Orin|Xavier|Tegra|Jetson)\b/i

/**
 * @param text CSV, one line per GPU; units (` MiB`, ` %`) are accepted. A header, a warning or a line that is cut off is skipped.
 * @param columns what was queried, in that order; `memory.used` stands in for a missing `memory.free`.
 * @returns the GPUs that can be used: one whose memory cannot be read because of an error (`[Unknown Error]`, `[GPU requires reset]`) is left out.
 */
export function parseNvidiaSmi(text: string, columns: readonly string[] = nvidiaColumns): NvidiaGpu[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const gpu = parseLine(line, columns)
    return gpu === undefined ? [] : [gpu]
  })
}

function parseLine(line: string, columns: readonly string[]): NvidiaGpu | undefined {
  const fields = fieldsOf(line, columns)
  if (fields === undefined) return undefined
  const index = fields.get('index')
  if (index !== undefined && !/^\d+$/.test(index)) return undefined
  const model = fields.get('name')
  if (model === undefined || model === '' || notTold.test(model)) return undefined

  const total = mebibytes(fields.get('memory.total'))
  if (total === 'unreadable') return undefined
  const free = mebibytes(fields.get('memory.free'))
  const used = mebibytes(fields.get('memory.used'))
  const freeBytes = typeof free === 'number' ? free : typeof total === 'number' && typeof used === 'number' ? Math.max(0, total - used) : undefined
  const utilisation = fractionOfPercent(numberIn(fields.get('utilization.gpu'), '%'))
  const uuid = fields.get('uuid')
  const mig = fields.get('mig.mode.current')?.toLowerCase() === 'enabled'

  return {
    ...(uuid === undefined ? {} : { uuid }),
    mig,
    report: {
      vendor: 'nvidia',
      model,
      ...(typeof total === 'number' ? { vramBytes: total } : {}),
      ...(freeBytes === undefined ? {} : { vramFreeBytes: freeBytes }),
      ...(total === 'not told' && !mig && sharesSystemMemory.test(model) ? { sharedFraction: 1 } : {}),
      ...(utilisation === undefined ? {} : { utilisation }),
    },
  }
}

/** The CSV is not quoted: fields beyond the columns can only come from commas in the name. */
function fieldsOf(line: string, columns: readonly string[]): Map<string, string> | undefined {
  const cells = line.split(',').map((cell) => cell.trim())
  const surplus = cells.length - columns.length
  if (surplus < 0) return undefined
  const name = columns.indexOf('name')
  if (surplus > 0) {
    if (name < 0) return undefined
    cells.splice(name, surplus + 1, cells.slice(name, name + surplus + 1).join(', '))
  }
  return new Map(columns.map((column, place) => [column, cells[place] ?? '']))
}

function mebibytes(cell: string | undefined): number | 'not told' | 'unreadable' {
  if (cell === undefined || notTold.test(cell)) return 'not told'
  const count = numberIn(cell, 'MiB')
  return count === undefined ? 'unreadable' : Math.round(count * MiB)
}

function numberIn(cell: string | undefined, unit: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(\S*)$/.exec(cell ?? '')
  if (match === null || (match[2] !== '' && match[2] !== unit)) return undefined
  return Number(match[1])
}

export const nvidiaDetailArguments = ['-q', '-x'] as const

/**
 * The MIG instances in `nvidia-smi -q -x`, by the UUID of their card. Each is a GPU of its own to whoever uses it; the driver
 * tells no utilisation for them. Source: the DTDs nvsmi_device_v11 and v12 that nvidia-smi names in its output.
 */
export function parseNvidiaMig(xml: string): Map<string, GpuReport[]> {
  const instances = new Map<string, GpuReport[]>()
  for (const card of blocks(xml, 'gpu')) {
    const uuid = valueOf(card, 'uuid')
    const model = valueOf(card, 'product_name')
    if (uuid === undefined || model === undefined) continue
    const reports = blocks(card, 'mig_device').flatMap((device): GpuReport[] => {
      const memory = blocks(device, 'fb_memory_usage')[0] ?? ''
      const total = mebibytes(valueOf(memory, 'total'))
      const free = mebibytes(valueOf(memory, 'free'))
      if (typeof total !== 'number') return []
      const place = `${valueOf(device, 'gpu_instance_id') ?? '?'}/${valueOf(device, 'compute_instance_id') ?? '?'}`
      return [{ vendor: 'nvidia', model: `${model} MIG ${place}`, vramBytes: total, ...(typeof free === 'number' ? { vramFreeBytes: free } : {}) }]
    })
    instances.set(uuid, reports)
  }
  return instances
}

/** Elements do not nest in themselves in this document, so the first closing tag is the right one. */
function blocks(xml: string, tag: string): string[] {
  return [...xml.matchAll(new RegExp(`<${tag}(?:\\s[^>]*)?>([\\s\\S]*?)</${tag}>`, 'g'))].map((match) => match[1] ?? '')
}

function valueOf(xml: string, tag: string): string | undefined {
  return new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(xml)?.[1]?.trim()
}
