/**
 * What macOS prints: `system_profiler SPDisplaysDataType -json`. Running it is `gpu-probe.ts`'s work.
 *
 * There was no Mac to try this on: the parser is held to recorded public output only (test/fixtures/hardware/SOURCES.md).
 *
 * Apple's GPUs have no memory of their own. What Metal lets a process keep resident
 * (`MTLDevice.recommendedMaxWorkingSetSize`) is by default about two thirds of the system's memory up to 36 GiB and
 * three quarters above; that share is taken for the VRAM, and of it what the system has free for the free VRAM.
 * No tool that works without root tells the utilisation.
 */
import type { Gpu } from '../../protocols/capability/schema.ts'
import type { GpuReport } from './gpu-report.ts'
import { isRecord, jsonIn } from './gpu-report.ts'

export const systemProfilerArguments = ['SPDisplaysDataType', '-json', '-detailLevel', 'mini'] as const

const GiB = 1024 ** 3

/** The part of unified memory that a GPU can use, in (0,1]. */
export function unifiedMemoryFraction(memoryBytes: number): number {
  return memoryBytes <= 36 * GiB ? 2 / 3 : 3 / 4
}

/** @returns one report per GPU; entries that are none (a display without one, garbage) are skipped. */
export function parseSystemProfiler(text: string, memoryBytes: number): GpuReport[] {
  const root = jsonIn(text)
  const list = isRecord(root) ? root['SPDisplaysDataType'] : undefined
  if (!Array.isArray(list)) return []
  return list.flatMap((entry): GpuReport[] => {
    if (!isRecord(entry)) return []
    const model = entry['sppci_model'] ?? entry['_name']
    if (typeof model !== 'string' || model === '') return []
    const vendor = vendorOf(entry['spdisplays_vendor'], model)
    if (vendor === 'apple') return [{ vendor, model, sharedFraction: unifiedMemoryFraction(memoryBytes) }]

    const own = sizeBytes(entry['spdisplays_vram'] ?? entry['_spdisplays_vram'])
    const shared = sizeBytes(entry['spdisplays_vram_shared'])
    // Intel's graphics are told under either key, but never have memory of their own.
    if (shared !== undefined || /\bintel\b/i.test(model)) {
      const limit = shared ?? own
      return limit === undefined ? [] : [{ vendor, model, vramBytes: limit, sharedFraction: Math.min(1, limit / memoryBytes) }]
    }
    return own === undefined ? [] : [{ vendor, model, vramBytes: own }]
  })
}

/** `sppci_vendor_Apple`, `sppci_vendor_amd`, `AMD (0x1002)`, `Intel`. */
function vendorOf(vendor: unknown, model: string): Gpu['vendor'] {
  const text = `${typeof vendor === 'string' ? vendor.replaceAll('_', ' ') : ''} ${model}`.toLowerCase()
  if (/\bapple\b/.test(text)) return 'apple'
  if (/\b(amd|ati|radeon)\b/.test(text)) return 'amd'
  if (/\b(nvidia|geforce)\b/.test(text)) return 'nvidia'
  return 'other'
}

/** `8 GB`, `1536 MB`. */
function sizeBytes(value: unknown): number | undefined {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*(MB|GB|TB)$/i.exec(value.trim()) : null
  if (match === null) return undefined
  const unit = (match[2] ?? '').toUpperCase()
  return Math.round(Number(match[1]) * (unit === 'MB' ? 1024 ** 2 : unit === 'GB' ? GiB : 1024 * GiB))
}
