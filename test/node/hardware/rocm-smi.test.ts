import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseAmdSmi, parseRocmSmi } from '../../../node/hardware/rocm-smi.ts'

const MiB = 1024 * 1024
const recorded = (name: string): string => readFileSync(new URL(`../../fixtures/hardware/${name}`, import.meta.url), 'utf8')

beforeAll(() => {
  console.log('rocm-smi and amd-smi: tried on recorded public output only; there was no AMD GPU to run them on')
})

describe('rocm-smi --json', () => {
  test('recorded: a Radeon RX 7900 XT', () => {
    expect(parseRocmSmi(recorded('rocm-rx-7900-xt.json'))).toEqual([
      { vendor: 'amd', model: 'Radeon RX 7900 XT', vramBytes: 21_458_059_264, vramFreeBytes: 21_458_059_264 - 27_856_896, utilisation: 0 },
    ])
  })

  test('recorded: both dies of an MI250, half busy', () => {
    const die = { vendor: 'amd', model: 'AMD INSTINCT MI250 (MCM) OAM AC MBA', vramBytes: 68_702_699_520, vramFreeBytes: 17_175_674_880, utilisation: 0.5 }
    expect(parseRocmSmi(recorded('rocm-mi250.json'))).toEqual([die, die])
  })

  test('recorded: an older release knows the number of the model only; "system" is no card', () => {
    expect(parseRocmSmi(recorded('rocm-vega-10.json'))).toEqual([{ vendor: 'amd', model: 'AMD GPU 0xc1e', vramBytes: 17_163_091_968, vramFreeBytes: 17_145_315_328, utilisation: 0 }])
  })

  test('warnings around the JSON are skipped, so is a card without VRAM; card10 comes after card2', () => {
    const text = `WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status
[WARNING] something else
{"card10": {"VRAM Total Memory (B)": "100", "VRAM Total Used Memory (B)": "N/A", "GPU use (%)": "N/A", "Card Series": "N/A", "Device Name": "ten"},
 "card2": {"VRAM Total Memory (B)": "200", "VRAM Total Used Memory (B)": "300", "Card Series": "two"}, "card3": {"GPU use (%)": "3"}, "card4": "unreadable"}
`
    expect(parseRocmSmi(text)).toEqual([
      { vendor: 'amd', model: 'two', vramBytes: 200, vramFreeBytes: 0 },
      { vendor: 'amd', model: 'ten', vramBytes: 100 },
    ])
  })

  test('no JSON, no GPUs', () => {
    for (const text of ['', 'ERROR:root:Driver not initialized (amdgpu not found in modules)', '{"card0": {"VRAM', '[1,2]', 'null']) expect(parseRocmSmi(text)).toEqual([])
  })
})

describe('amd-smi --json', () => {
  const gpu = { vendor: 'amd', model: 'Navi 23 [Radeon RX 6600/6600 XT', vramBytes: 8_176 * MiB, vramFreeBytes: 7_974 * MiB, utilisation: 0.01 }

  test('recorded: a Radeon RX 6600, named by the second question', () => {
    expect(parseAmdSmi(recorded('amd-smi-metric-rx-6600.json'), recorded('amd-smi-static-rx-6600.json'))).toEqual([gpu])
    expect(parseAmdSmi(recorded('amd-smi-metric-rx-6600.json'), '')).toEqual([{ ...gpu, model: 'AMD GPU' }])
  })

  test('the wrapper of newer releases', () => {
    const wrapped = `{"gpu_data": ${recorded('amd-smi-metric-rx-6600.json')}}`
    expect(parseAmdSmi(wrapped, `{"gpu_data": ${recorded('amd-smi-static-rx-6600.json')}}`)).toEqual([gpu])
  })

  test('N/A is unknown, not zero; a GPU without VRAM and garbage are skipped', () => {
    const text = JSON.stringify([
      { gpu: 0, usage: 'N/A', mem_usage: { total_vram: { value: 192, unit: 'GB' }, used_vram: 'N/A' } },
      { gpu: 1, mem_usage: { total_vram: 'N/A' } },
      { gpu: 2, mem_usage: 'N/A' },
      'garbage',
    ])
    expect(parseAmdSmi(text, 'garbage')).toEqual([{ vendor: 'amd', model: 'AMD GPU', vramBytes: 192 * 1024 * MiB }])
  })
})
