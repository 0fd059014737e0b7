/** Numbers as people read them, in the terminal and on the page. */
import { size } from '../../node/cli/view/format.ts'
import type { SimulationReport } from '../../sim/report.ts'

/** `0 ms`, `850 µs`, `320 ms`, `3.2 s`, `2 min 05 s`, `1 h 20 min`. */
export function time(ms: number): string {
  if (ms === 0) return '0 ms'
  if (ms < 0.9995) return `${Math.round(ms * 1_000)} µs`
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(ms < 9_995 ? 2 : 1)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`
  return `${Math.floor(seconds / 3_600)} h ${String(Math.floor((seconds % 3_600) / 60)).padStart(2, '0')} min`
}

/** `1,234,567`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** A count, or a mean of counts: `12,345`, `21.4`, `0.37`. */
export function number(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1_000) return whole(value)
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

export function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(fraction > 0 && fraction < 0.0995 ? 1 : 0)} %`
}

export function bytes(value: number): string {
  return size(Math.round(value))
}

/** `×1.31`. */
export function times(ratio: number): string {
  return `×${ratio >= 100 ? whole(ratio) : ratio.toFixed(2)}`
}

export function kept(report: SimulationReport): { readonly all: boolean; readonly checked: boolean; readonly text: string } {
  const broken = report.promises.filter((entry) => entry.violations > 0).length
  const count = report.promises.length
  if (count === 0 && report.violations.length === 0) return { all: true, checked: false, text: 'promises not checked' }
  if (broken === 0 && report.violations.length === 0) return { all: true, checked: true, text: `all ${count} promises kept` }
  const promises = Math.max(broken, new Set(report.violations.map((violation) => violation.promise)).size)
  return { all: false, checked: true, text: `${promises} of ${Math.max(count, promises)} promises broken` }
}
