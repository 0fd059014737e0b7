/** Whether a model fits this machine, asked before any of it is loaded. */
import { freemem } from 'node:os'
import { MeshError } from '../../../protocols/kernel/errors.ts'

export interface MemoryNeed {
  /** The weights. */
  readonly modelBytes: number
  /** What its conversations take, all sequences together. */
  readonly contextBytes: number
}

export interface MemoryLeft {
  readonly ramBytes: number
  /** 0 without a GPU, and where it shares the processors' memory. */
  readonly vramBytes: number
}

/** What this process may still take: of the machine, and of its container. */
export function freeRamBytes(): number {
  return Math.max(0, Math.min(freemem(), process.availableMemory()))
}

/** @throws MeshError `too-large` with the numbers. */
export function requireMemory(model: string, need: MemoryNeed, left: MemoryLeft): void {
  const neededBytes = need.modelBytes + need.contextBytes
  const freeBytes = left.ramBytes + left.vramBytes
  if (neededBytes <= freeBytes) return
  const where = left.vramBytes > 0 ? ` (${inUnits(left.vramBytes)} on the GPU)` : ''
  // Smaller conversations only help if the weights alone fit.
  const next = need.modelBytes < freeBytes ? 'give it fewer sequences or a shorter context, or take a smaller quantisation' : 'take a smaller model or a smaller quantisation of it, or a machine with more memory'
  throw new MeshError('too-large', `the model "${model}" needs ${inUnits(neededBytes)}, ${inUnits(need.contextBytes)} of it for its context; ${inUnits(freeBytes)}${where} are free`, { next })
}

const units = ['kB', 'MB', 'GB', 'TB', 'PB'] as const

/** `8.1 GB`: powers of ten, as memory and files are sold. */
export function inUnits(bytes: number): string {
  if (bytes < 1_000) return `${Math.round(bytes)} bytes`
  let [value, unit]: [number, string] = [bytes, 'bytes']
  for (const next of units) {
    if (value < 999.5) break
    value /= 1_000
    unit = next
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`
}
