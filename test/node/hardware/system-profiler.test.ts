import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { gpuFrom } from '../../../node/hardware/gpu-report.ts'
import { parseSystemProfiler, unifiedMemoryFraction } from '../../../node/hardware/system-profiler.ts'

const GiB = 1024 ** 3
const recorded = (name: string): string => readFileSync(new URL(`../../fixtures/hardware/${name}`, import.meta.url), 'utf8')

beforeAll(() => {
  console.log('system_profiler: tried on recorded public output only; there was no Mac to run it on')
})

describe('system_profiler SPDisplaysDataType -json', () => {
  test('recorded: an Apple M1 shares the system\'s memory', () => {
    const [report, ...others] = parseSystemProfiler(recorded('system-profiler-m1.json'), 8 * GiB)
    expect(others).toEqual([])
    expect(report).toEqual({ vendor: 'apple', model: 'Apple M1', sharedFraction: 2 / 3 })
    if (report === undefined) return
    expect(gpuFrom(report, { memoryBytes: 8 * GiB, memoryFreeBytes: 3 * GiB })).toEqual({ vendor: 'apple', model: 'Apple M1', vramBytes: Math.floor((8 * GiB * 2) / 3), vramFreeBytes: 3 * GiB })
    expect(gpuFrom(report, { memoryBytes: 8 * GiB, memoryFreeBytes: 7 * GiB }).vramFreeBytes).toBe(Math.floor((8 * GiB * 2) / 3))
  })

  test('bigger Macs lend a bigger share', () => {
    expect(unifiedMemoryFraction(36 * GiB)).toBe(2 / 3)
    expect(unifiedMemoryFraction(64 * GiB)).toBe(3 / 4)
  })

  test('written by hand after https://github.com/sebhildebrandt/systeminformation/issues/348: an Intel Mac with two GPUs', () => {
    const text = JSON.stringify({
      SPDisplaysDataType: [
        { _name: 'kHW_IntelUHDGraphics630Item', _spdisplays_vram: '1536 MB', spdisplays_vendor: 'Intel', sppci_model: 'Intel UHD Graphics 630' },
        { _name: 'kHW_AMDRadeonPro560XItem', spdisplays_vram: '4 GB', spdisplays_vendor: 'sppci_vendor_amd', sppci_model: 'Radeon Pro 560X' },
        'not a GPU',
        { spdisplays_vendor: 'sppci_vendor_amd' },
        { sppci_model: 'Virtual Display', spdisplays_vendor: 'Other' },
      ],
    })
    const gpus = parseSystemProfiler(text, 16 * GiB).map((report) => gpuFrom(report, { memoryBytes: 16 * GiB, memoryFreeBytes: GiB }))
    expect(gpus).toEqual([
      { vendor: 'other', model: 'Intel UHD Graphics 630', vramBytes: 1.5 * GiB, vramFreeBytes: GiB },
      { vendor: 'amd', model: 'Radeon Pro 560X', vramBytes: 4 * GiB, vramFreeBytes: 0 },
    ])
  })

  test('a machine without GPUs (a hosted runner) and garbage give none', () => {
    for (const text of ['{"SPDisplaysDataType" : []}', '{}', '', 'oops', '{"SPDisplaysDataType": {"a": 1}}']) expect(parseSystemProfiler(text, GiB)).toEqual([])
  })
})
