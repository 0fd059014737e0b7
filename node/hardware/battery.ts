/** Whether the machine lives on a battery, and how full that is. `charging` means that it is on external power. */
import type { Environment } from '../../protocols/capability/schema.ts'
import type { SystemFiles } from './system-files.ts'
import { numberIn } from './system-files.ts'

export type Battery = NonNullable<Environment['battery']>

const folder = '/sys/class/power_supply'

interface Cell {
  readonly fraction: number
  readonly status: string
  /** Of this cell among several: its capacity, in whatever unit the driver uses. */
  readonly weight: number
}

/**
 * Linux. Batteries of mice and headsets (`scope` Device) and removed ones do not count; several become one, weighted by capacity.
 * Source: kernel documentation, ABI/testing/sysfs-class-power.
 */
export async function readLinuxBattery(files: SystemFiles): Promise<Battery | undefined> {
  const cells: Cell[] = []
  let onMains: boolean | undefined
  for (const name of await files.list(folder)) {
    const read = (file: string): Promise<string | undefined> => files.read(`${folder}/${name}/${file}`)
    const type = await read('type')
    if (type === 'Mains' || type === 'USB') {
      const online = numberIn(await read('online'))
      if (online !== undefined) onMains = online > 0 || onMains === true
    }
    if (type !== 'Battery' || (await read('scope')) === 'Device' || (await read('present')) === '0') continue
    const cell = await readCell(read)
    if (cell !== undefined) cells.push(cell)
  }
  if (cells.length === 0) return undefined
  const weights = cells.reduce((sum, cell) => sum + cell.weight, 0)
  const draining = cells.some((cell) => cell.status === 'Discharging')
  const known = cells.some((cell) => /^(Charging|Full|Not charging)$/.test(cell.status))
  return {
    charging: onMains ?? (known && !draining),
    fraction: cells.reduce((sum, cell) => sum + cell.fraction * cell.weight, 0) / weights,
  }
}

async function readCell(read: (file: string) => Promise<string | undefined>): Promise<Cell | undefined> {
  const status = (await read('status')) ?? 'Unknown'
  for (const quantity of ['energy', 'charge']) {
    const full = numberIn(await read(`${quantity}_full`))
    const now = numberIn(await read(`${quantity}_now`))
    if (full !== undefined && now !== undefined && full > 0) return { fraction: clamp(now / full), status, weight: full }
  }
  const percent = numberIn(await read('capacity'))
  return percent === undefined ? undefined : { fraction: clamp(percent / 100), status, weight: 1 }
}

export const pmsetArguments = ['-g', 'batt'] as const

/**
 * macOS: the output of `pmset -g batt`. There was no Mac to try this on: held to recorded public output only
 * (test/fixtures/hardware/SOURCES.md).
 * @returns undefined for a Mac without a battery, whose output has the first line only.
 */
export function parsePmset(text: string): Battery | undefined {
  const source = /drawing from '([^']*)'/.exec(text)?.[1]
  const percents = [...text.matchAll(/^\s*-InternalBattery-\d+\s.*?(\d{1,3})%;(.*)$/gm)].filter((match) => !/present:\s*false/.test(match[2] ?? ''))
  if (percents.length === 0) return undefined
  return {
    charging: source === 'AC Power' || source === 'UPS Power',
    fraction: clamp(percents.reduce((sum, match) => sum + Number(match[1]), 0) / percents.length / 100),
  }
}

function clamp(fraction: number): number {
  return Math.min(1, Math.max(0, fraction))
}
