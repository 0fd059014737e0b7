import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { Environment, Gpu } from '../../../protocols/capability/schema.ts'
import type { SystemHardwareOptions } from '../../../node/hardware/hardware-system-adapter.ts'
import { createSystemHardware } from '../../../node/hardware/hardware-system-adapter.ts'
import type { RunTool, ToolOutcome } from '../../../node/hardware/run-tool.ts'
import { runTool } from '../../../node/hardware/run-tool.ts'

const MiB = 1024 * 1024
const GiB = 1024 * MiB
const recorded = (name: string): string => readFileSync(new URL(`../../fixtures/hardware/${name}`, import.meta.url), 'utf8')
const h200 = '0, GPU-a, NVIDIA H200, 143771, 143163, 12, Disabled\n'
const missing: ToolOutcome = { kind: 'missing' }
const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function hardwareWith(answer: (command: string) => ToolOutcome | Promise<ToolOutcome>, options: SystemHardwareOptions = {}) {
  const asked: string[] = []
  const clock = { nowMs: 1_000 }
  const scripted: RunTool = async (file, args) => {
    const command = [file, ...args].join(' ')
    asked.push(command)
    return answer(command)
  }
  const root = mkdtempSync(join(tmpdir(), 'skein-root-'))
  folders.push(root)
  const hardware = createSystemHardware({
    root,
    runTool: scripted,
    monotonicMs: () => clock.nowMs,
    machine: { platform: 'linux', cores: () => 4, memoryBytes: () => 64 * GiB, memoryFreeBytes: () => 10 * GiB, loadAverage: () => 2, env: {} },
    ...options,
  })
  onTestFinished(() => hardware.close())
  return { hardware, asked, clock }
}

describe('the real machine', () => {
  test('a sample is fit for an advert', async () => {
    const hardware = createSystemHardware()
    onTestFinished(() => hardware.close())
    const sample = await hardware.sample()
    expect(Environment.parse(sample.environment)).toEqual(sample.environment)
    for (const gpu of sample.gpus) expect(Gpu.parse(gpu)).toEqual(gpu)
    expect(sample.environment.cores).toBeLessThanOrEqual(availableParallelism())
    expect(sample.environment.memoryFreeBytes).toBeGreaterThan(0)
    expect(sample.environment.memoryFreeBytes).toBeLessThanOrEqual(sample.environment.memoryBytes)
    expect(sample.cpu).toBeGreaterThanOrEqual(0)
    expect(sample.loopDelayMs).toBeGreaterThanOrEqual(0)
    const smi = await runTool('nvidia-smi', ['-L'], { timeoutMs: 10_000, outputBytesMax: MiB })
    if (smi.kind !== 'output') console.log('nvidia-smi: not on this machine; tried on recorded public output only')
    else expect(sample.gpus.filter((gpu) => gpu.vendor === 'nvidia').length > 0 || !/^GPU \d/m.test(smi.text)).toBe(true)
  })

  test('a stalled event loop shows', async () => {
    const hardware = createSystemHardware({ runTool: () => Promise.resolve(missing) })
    onTestFinished(() => hardware.close())
    // A stall counts between two ticks of the meter; on a busy machine it may miss one.
    await expect
      .poll(
        async () => {
          await hardware.sample()
          await pause(60)
          const endMs = performance.now() + 300
          while (performance.now() < endMs);
          await pause(60)
          return (await hardware.sample()).loopDelayMs
        },
        { timeout: 30_000, interval: 50 },
      )
      .toBeGreaterThan(200)
  }, 40_000)

  test('real programs in PATH are asked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'skein-smi-'))
    folders.push(folder)
    writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\nprintf '%s' '${h200}'\n`)
    chmodSync(join(folder, 'nvidia-smi'), 0o755)
    const inFolder: RunTool = (file, args, limits) => runTool(file.startsWith('/') ? file : join(folder, file), args, limits)
    const { hardware } = hardwareWith(() => missing, { runTool: inFolder, toolTimeoutMs: 60_000 })
    expect((await hardware.sample()).gpus).toEqual([{ vendor: 'nvidia', model: 'NVIDIA H200', vramBytes: 143_771 * MiB, vramFreeBytes: 143_163 * MiB, utilisation: 0.12 }])
  })
})

describe('asking for GPUs', () => {
  test('cpu is the load over the cores', async () => {
    const { hardware } = hardwareWith(() => missing)
    expect((await hardware.sample()).cpu).toBe(0.5)
  })

  test('at most once per interval; then free memory and load are fresh', async () => {
    let free = 143_163
    const { hardware, asked, clock } = hardwareWith((command) => (command.startsWith('nvidia-smi') ? { kind: 'output', text: h200.replace('143163', String(free)) } : missing))
    const freeNow = async (): Promise<number | undefined> => (await hardware.sample()).gpus[0]?.vramFreeBytes
    expect(await freeNow()).toBe(143_163 * MiB)
    free = 1_000
    clock.nowMs += 9_999
    expect(await freeNow()).toBe(143_163 * MiB)
    clock.nowMs += 1
    expect(await freeNow()).toBe(1_000 * MiB)
    expect(asked.filter((command) => command.startsWith('nvidia-smi'))).toHaveLength(2)
  })

  test('a missing tool is looked for rarely', async () => {
    let installed = false
    const { hardware, asked, clock } = hardwareWith((command) => (installed && command.startsWith('nvidia-smi') ? { kind: 'output', text: h200 } : missing))
    expect((await hardware.sample()).gpus).toEqual([])
    const firstLook = asked.length
    expect(new Set(asked.map((command) => command.split(' ')[0]))).toEqual(new Set(['nvidia-smi', '/usr/bin/nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi', 'rocm-smi', '/opt/rocm/bin/rocm-smi', 'amd-smi', '/opt/rocm/bin/amd-smi']))
    installed = true
    clock.nowMs += 599_000
    expect((await hardware.sample()).gpus).toEqual([])
    expect(asked).toHaveLength(firstLook)
    clock.nowMs += 1_000
    expect((await hardware.sample()).gpus).toHaveLength(1)
  })

  test('a slow tool delays a sample a little, and is never run twice at a time', async () => {
    const waiting: ((outcome: ToolOutcome) => void)[] = []
    let slow = false
    const { hardware, asked, clock } = hardwareWith(
      (command) => {
        if (!command.startsWith('nvidia-smi')) return missing
        return slow ? new Promise((resolve) => waiting.push(resolve)) : { kind: 'output', text: h200 }
      },
      { gpuWaitMs: 1 },
    )
    await hardware.sample()
    slow = true
    clock.nowMs += 10_000
    for (let times = 0; times < 3; times++) expect((await hardware.sample()).gpus).toHaveLength(1)
    expect(waiting).toHaveLength(1)
    waiting[0]?.({ kind: 'output', text: '' })
    await expect.poll(async () => (await hardware.sample()).gpus).toEqual([])
    expect(asked.filter((command) => command.startsWith('nvidia-smi'))).toHaveLength(2)
  })

  test('a tool that begins to fail is believed for a minute more', async () => {
    let works = true
    const { hardware, clock } = hardwareWith((command) => {
      if (!command.startsWith('nvidia-smi')) return missing
      return works ? { kind: 'output', text: h200 } : { kind: 'failed', reason: 'Failed to initialize NVML', text: '' }
    })
    await hardware.sample()
    works = false
    clock.nowMs += 10_000
    expect((await hardware.sample()).gpus).toHaveLength(1)
    clock.nowMs += 50_000
    expect((await hardware.sample()).gpus).toEqual([])
  })

  test('a driver older than MIG is asked without it, and from then on only so', async () => {
    const { hardware, asked, clock } = hardwareWith((command) => {
      if (!command.startsWith('nvidia-smi')) return missing
      if (command.includes('mig.mode')) return { kind: 'failed', reason: 'code 2', text: 'Field "mig.mode.current" is not a valid field to query.\n' }
      return { kind: 'output', text: '0, GPU-a, Tesla V100, 16160, 16000, 1\n' }
    })
    expect((await hardware.sample()).gpus).toHaveLength(1)
    clock.nowMs += 10_000
    expect((await hardware.sample()).gpus).toHaveLength(1)
    expect(asked.filter((command) => command.includes('mig.mode'))).toHaveLength(1)
  })

  test('a card divided by MIG is offered as its instances; when those cannot be read, not at all', async () => {
    const rows = '0, GPU-27b94a00-ed54-5c24-b1fd-1054085de32a, NVIDIA A100-SXM4-40GB, 40960, 40315, [N/A], Enabled\n1, GPU-b, NVIDIA T4, 15360, 15000, 3, [N/A]\n'
    let detail: ToolOutcome = { kind: 'output', text: recorded('nvidia-a100-mig.xml') }
    const { hardware, clock } = hardwareWith((command) => {
      if (!command.startsWith('nvidia-smi')) return missing
      return command.includes('-q -x') ? detail : { kind: 'output', text: rows }
    })
    expect((await hardware.sample()).gpus.map((gpu) => gpu.model)).toEqual(['NVIDIA A100-SXM4-40GB MIG 1/0', 'NVIDIA A100-SXM4-40GB MIG 2/0', 'NVIDIA T4'])
    detail = { kind: 'failed', reason: 'code 6', text: '' }
    clock.nowMs += 10_000
    expect((await hardware.sample()).gpus.map((gpu) => gpu.model)).toEqual(['NVIDIA T4'])
  })

  test('a GPU without memory of its own gets the system\'s', async () => {
    const { hardware } = hardwareWith((command) => (command.startsWith('nvidia-smi') ? { kind: 'output', text: '0, GPU-a, NVIDIA GB10, [N/A], [N/A], 0, [N/A]\n' } : missing))
    expect((await hardware.sample()).gpus).toEqual([{ vendor: 'nvidia', model: 'NVIDIA GB10', vramBytes: 64 * GiB, vramFreeBytes: 10 * GiB, utilisation: 0 }])
  })

  test('NVIDIA and AMD side by side; amd-smi stands in for rocm-smi and tells names once', async () => {
    const { hardware, asked, clock } = hardwareWith((command) => {
      if (command.startsWith('nvidia-smi')) return { kind: 'output', text: h200 }
      if (command.startsWith('amd-smi metric')) return { kind: 'output', text: recorded('amd-smi-metric-rx-6600.json') }
      if (command.startsWith('amd-smi static')) return { kind: 'output', text: recorded('amd-smi-static-rx-6600.json') }
      return missing
    })
    const models = ['NVIDIA H200', 'Navi 23 [Radeon RX 6600/6600 XT']
    expect((await hardware.sample()).gpus.map((gpu) => gpu.model)).toEqual(models)
    clock.nowMs += 10_000
    expect((await hardware.sample()).gpus.map((gpu) => gpu.model)).toEqual(models)
    expect(asked.filter((command) => command.includes('static'))).toHaveLength(1)
  })

  test('rocm-smi alone is enough', async () => {
    const { hardware, asked } = hardwareWith((command) => (command.startsWith('rocm-smi') ? { kind: 'output', text: recorded('rocm-mi250.json') } : missing))
    expect((await hardware.sample()).gpus).toHaveLength(2)
    expect(asked.some((command) => command.includes('amd-smi'))).toBe(false)
  })

  test('a Mac asks system_profiler only', async () => {
    const { hardware, asked } = hardwareWith((command) => (command.includes('system_profiler') ? { kind: 'output', text: recorded('system-profiler-m1.json') } : missing), {
      machine: { platform: 'darwin', memoryBytes: () => 8 * GiB, memoryFreeBytes: () => 3 * GiB, loadAverage: () => 0, env: {} },
    })
    expect((await hardware.sample()).gpus).toEqual([{ vendor: 'apple', model: 'Apple M1', vramBytes: Math.floor((8 * GiB * 2) / 3), vramFreeBytes: 3 * GiB }])
    expect(asked.some((command) => command.includes('smi'))).toBe(false)
  })
})

test('every recorded output names its source', () => {
  const sources = readFileSync(new URL('../../fixtures/hardware/SOURCES.md', import.meta.url), 'utf8')
  for (const line of sources.split('\n').filter((row) => /^\| [a-z]/.test(row) && !row.startsWith('| file'))) {
    for (const name of (line.split('|')[1] ?? '').split(',')) expect(existsSync(new URL(`../../fixtures/hardware/${name.trim()}`, import.meta.url))).toBe(true)
    expect(line.includes('https://') || line.includes('the same')).toBe(true)
  }
})
