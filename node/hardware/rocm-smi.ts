/**
 * What AMD's tools print: `rocm-smi`, and its successor `amd-smi` (ROCm 6 and later). Running them is `gpu-probe.ts`'s work.
 *
 * There was no AMD GPU to try this on: the parsers are held to recorded public output only (test/fixtures/hardware/SOURCES.md).
 */
import type { GpuReport } from './gpu-report.ts'
import { fractionOfPercent, isRecord, jsonIn } from './gpu-report.ts'

export const rocmArguments = ['--showmeminfo', 'vram', '--showuse', '--showproductname', '--json'] as const

/**
 * `{ "card0": { "VRAM Total Memory (B)": "…", … }, "system": … }`: numbers are text, and the case of the keys changed
 * between releases (`Card series`, `Card Series`).
 * @returns one report per card whose VRAM is told; empty for output that is no JSON.
 */
export function parseRocmSmi(text: string): GpuReport[] {
  const root = jsonIn(text)
  if (!isRecord(root)) return []
  return Object.entries(root)
    .filter(([name]) => /^card\d+$/i.test(name))
    .sort(([left], [right]) => Number(left.slice(4)) - Number(right.slice(4)))
    .flatMap(([, card]): GpuReport[] => {
      if (!isRecord(card)) return []
      const fields = new Map(Object.entries(card).map(([key, value]) => [key.toLowerCase(), String(value).trim()]))
      const totalBytes = wholeNumber(fields.get('vram total memory (b)'))
      if (totalBytes === undefined) return []
      const usedBytes = wholeNumber(fields.get('vram total used memory (b)'))
      return [reportOf(modelFrom(fields), totalBytes, usedBytes, wholeNumber(fields.get('gpu use (%)')))]
    })
}

/** Marketing names first; older releases know only the number of the model. */
function modelFrom(fields: ReadonlyMap<string, string>): string {
  for (const key of ['card series', 'device name', 'card model']) {
    const name = fields.get(key)
    if (name === undefined || name === '' || /^n\/?a$/i.test(name)) continue
    return /^0x[0-9a-f]+$/i.test(name) ? `AMD GPU ${name}` : name
  }
  return 'AMD GPU'
}

/** Two questions: the first changes all the time, the second never. */
export const amdMetricArguments = ['metric', '--usage', '--mem-usage', '--json'] as const
export const amdStaticArguments = ['static', '--asic', '--json'] as const

/**
 * @param metric output of `amd-smi metric`: an array with one object per GPU; from ROCm 7 on inside `{ "gpu_data": […] }`.
 * @param asic output of `amd-smi static`, for the names; may be empty.
 */
export function parseAmdSmi(metric: string, asic: string): GpuReport[] {
  const names = new Map<unknown, string>()
  for (const gpu of gpusIn(asic)) {
    const name = isRecord(gpu['asic']) ? gpu['asic']['market_name'] : undefined
    if (typeof name === 'string' && !/^n\/?a$/i.test(name)) names.set(gpu['gpu'], name)
  }
  return gpusIn(metric).flatMap((gpu): GpuReport[] => {
    const memory = gpu['mem_usage']
    if (!isRecord(memory)) return []
    const totalBytes = bytesIn(memory['total_vram'])
    if (totalBytes === undefined) return []
    const usage = gpu['usage']
    const percent = isRecord(usage) ? quantityIn(usage['gfx_activity'])?.value : undefined
    return [reportOf(names.get(gpu['gpu']) ?? 'AMD GPU', totalBytes, bytesIn(memory['used_vram']), percent)]
  })
}

function gpusIn(text: string): Readonly<Record<string, unknown>>[] {
  const root = jsonIn(text)
  const list = isRecord(root) ? root['gpu_data'] : root
  return Array.isArray(list) ? list.filter(isRecord) : []
}

const unitBytes: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 }

/** AMD writes MB and means MiB: an 8 GiB card has 8176 of them. */
function bytesIn(value: unknown): number | undefined {
  const quantity = quantityIn(value)
  const size = quantity === undefined ? undefined : unitBytes[quantity.unit.toLowerCase()]
  return quantity === undefined || size === undefined ? undefined : Math.round(quantity.value * size)
}

/** `{ "value": 8176, "unit": "MB" }`, or `"N/A"`. */
function quantityIn(value: unknown): { value: number; unit: string } | undefined {
  if (!isRecord(value) || typeof value['value'] !== 'number' || typeof value['unit'] !== 'string' || value['value'] < 0) return undefined
  return { value: value['value'], unit: value['unit'] }
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function reportOf(model: string, totalBytes: number, usedBytes: number | undefined, percent: number | undefined): GpuReport {
  const utilisation = fractionOfPercent(percent)
  return {
    vendor: 'amd',
    model,
    vramBytes: totalBytes,
    ...(usedBytes === undefined ? {} : { vramFreeBytes: Math.max(0, totalBytes - usedBytes) }),
    ...(utilisation === undefined ? {} : { utilisation }),
  }
}
