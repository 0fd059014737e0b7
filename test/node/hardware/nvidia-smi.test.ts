import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { nvidiaColumns, nvidiaQueryArguments, parseNvidiaMig, parseNvidiaSmi } from '../../../node/hardware/nvidia-smi.ts'

const MiB = 1024 * 1024
const recorded = (name: string): string => readFileSync(new URL(`../../fixtures/hardware/${name}`, import.meta.url), 'utf8')
const reports = (text: string, columns?: readonly string[]) => parseNvidiaSmi(text, columns).map((gpu) => gpu.report)

describe('nvidia-smi --query-gpu', () => {
  test('asks for CSV without header and units', () => {
    expect(nvidiaQueryArguments(['name', 'memory.total'])).toEqual(['--query-gpu=name,memory.total', '--format=csv,noheader,nounits'])
    expect(nvidiaColumns).toContain('memory.free')
  })

  test('recorded: a GeForce RTX 2080, other columns around the ones read', () => {
    const columns =
      'power.limit,power.min_limit,power.max_limit,memory.total,vbios_version,driver_version,name,uuid,power.draw,temperature.gpu,temperature.memory,clocks.current.graphics,clocks.sm,clocks.mem,utilization.gpu,utilization.memory,fan.speed,pcie.link.width.current,pstate'.split(',')
    expect(parseNvidiaSmi(recorded('nvidia-rtx-2080.csv'), columns)).toEqual([
      { uuid: 'GPU-22b2c6ac-2d49-4863-197c-9c469071178a', mig: false, report: { vendor: 'nvidia', model: 'GeForce RTX 2080', vramBytes: 7979 * MiB, utilisation: 0.86 } },
    ])
  })

  test('recorded: a GB10 tells no memory because it uses the system\'s; the header is skipped', () => {
    expect(reports(recorded('nvidia-gb10.csv'), ['index', 'name', 'memory.total', 'memory.free'])).toEqual([{ vendor: 'nvidia', model: 'NVIDIA GB10', sharedFraction: 1 }])
  })

  test('recorded: values with units; without a name there is no GPU to speak of', () => {
    const [, row] = recorded('nvidia-gb10-with-units.csv').split('\n')
    const columns = ['memory.total', 'memory.used', 'memory.free', 'utilization.gpu', 'power.draw', 'temperature.gpu']
    expect(reports(row ?? '', columns)).toEqual([])
    expect(reports(`NVIDIA GB10, ${row}`, ['name', ...columns])).toEqual([{ vendor: 'nvidia', model: 'NVIDIA GB10', sharedFraction: 1, utilisation: 0 }])
    expect(reports('NVIDIA A10, 23028 MiB, 1 MiB, 7 %', ['name', 'memory.total', 'memory.used', 'utilization.gpu'])).toEqual([
      { vendor: 'nvidia', model: 'NVIDIA A10', vramBytes: 23_028 * MiB, vramFreeBytes: 23_027 * MiB, utilisation: 0.07 },
    ])
  })

  test('several GPUs; a header, a warning, a cut line and a broken card are skipped, the rest is kept', () => {
    const text = [
      'index, uuid, name, memory.total [MiB], memory.free [MiB], utilization.gpu [%], mig.mode.current',
      'WARNING: infoROM is corrupted at gpu 0000:65:00.0',
      '0, GPU-a, NVIDIA H200, 143771, 143163, 0, Disabled',
      '1, GPU-b, NVIDIA H200, [Unknown Error], [Unknown Error], [Unknown Error], Disabled',
      '2, GPU-c, NVIDIA H200, [GPU requires reset], [GPU requires reset], [N/A], [N/A]',
      '3, GPU-d, Tesla K80, 11441, 11441, [Not Supported], [N/A]',
      '4, GPU-e, NVIDIA Graphics Device, 16GB, 16384, 15000, 250, [N/A]',
      '5, GPU-f, NVIDIA H2',
      '',
    ].join('\r\n')
    expect(reports(text)).toEqual([
      { vendor: 'nvidia', model: 'NVIDIA H200', vramBytes: 143_771 * MiB, vramFreeBytes: 143_163 * MiB, utilisation: 0 },
      { vendor: 'nvidia', model: 'Tesla K80', vramBytes: 11_441 * MiB, vramFreeBytes: 11_441 * MiB },
      { vendor: 'nvidia', model: 'NVIDIA Graphics Device, 16GB', vramBytes: 16_384 * MiB, vramFreeBytes: 15_000 * MiB, utilisation: 1 },
    ])
  })

  test('memory that a card of its own does not tell stays unknown; it is not taken from the system', () => {
    expect(reports('0, GPU-a, NVIDIA A100-SXM4-40GB, [Insufficient Permissions], [Insufficient Permissions], [N/A], Disabled')).toEqual([{ vendor: 'nvidia', model: 'NVIDIA A100-SXM4-40GB' }])
    expect(reports('0, GPU-a, NVIDIA A100-SXM4-40GB, [N/A], [N/A], [N/A], Disabled')).toEqual([{ vendor: 'nvidia', model: 'NVIDIA A100-SXM4-40GB' }])
  })

  test('"No devices were found" is no GPU', () => {
    expect(reports('No devices were found\n')).toEqual([])
    expect(reports('')).toEqual([])
  })
})

describe('nvidia-smi -q -x', () => {
  test('recorded: the two MIG instances of an A100', () => {
    const instance = (place: string) => ({ vendor: 'nvidia', model: `NVIDIA A100-SXM4-40GB MIG ${place}`, vramBytes: 19_968 * MiB, vramFreeBytes: 19_948 * MiB })
    expect([...parseNvidiaMig(recorded('nvidia-a100-mig.xml'))]).toEqual([['GPU-27b94a00-ed54-5c24-b1fd-1054085de32a', [instance('1/0'), instance('2/0')]]])
  })

  test('garbage and documents that are cut off give no instances', () => {
    expect(parseNvidiaMig('not xml').size).toBe(0)
    expect(parseNvidiaMig(recorded('nvidia-a100-mig.xml').slice(0, 1_500)).size).toBe(0)
  })
})
