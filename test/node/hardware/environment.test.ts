import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { readFileSync } from 'node:fs'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Environment } from '../../../protocols/capability/schema.ts'
import { parsePmset, readLinuxBattery } from '../../../node/hardware/battery.ts'
import { parseCpuMax, parseMembership, readCgroupLimits } from '../../../node/hardware/cgroup.ts'
import { detectCloud } from '../../../node/hardware/cloud.ts'
import { detectContainer } from '../../../node/hardware/container.ts'
import type { Machine } from '../../../node/hardware/environment.ts'
import { createEnvironmentProbe } from '../../../node/hardware/environment.ts'
import type { RunTool } from '../../../node/hardware/run-tool.ts'
import type { SystemFiles } from '../../../node/hardware/system-files.ts'
import { createSystemFiles } from '../../../node/hardware/system-files.ts'

const GiB = 1024 ** 3
const roots: string[] = []
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true })
})
beforeAll(() => {
  console.log('pmset: tried on recorded public output only; there was no Mac to run it on')
})

/** A machine's files, written by hand after the kernel's documentation. */
function tree(contents: Readonly<Record<string, string>>): SystemFiles {
  const root = mkdtempSync(join(tmpdir(), 'skein-files-'))
  roots.push(root)
  for (const [path, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), `${text}\n`)
  }
  return createSystemFiles(root)
}

const recorded = (name: string): string => readFileSync(new URL(`../../fixtures/hardware/${name}`, import.meta.url), 'utf8')
const noTool: RunTool = () => Promise.resolve({ kind: 'missing' })
const machine: Machine = { platform: 'linux', arch: 'x64', env: {}, cores: () => 16, memoryBytes: () => 64 * GiB, memoryFreeBytes: () => 32 * GiB, loadAverage: () => 0 }
const meminfo = 'MemTotal:       67108864 kB\nMemFree:         1048576 kB\nMemAvailable:   33554432 kB\nBuffers: 1 kB'

describe('control groups', () => {
  test('membership of version 1, 2 and both', () => {
    expect([...parseMembership('0::/user.slice/a:b\n')]).toEqual([['', '/user.slice/a:b']])
    expect([...parseMembership('9:name=systemd:/\n1:cpu,cpuacct:/docker/ab\ngarbage\n')]).toEqual([['name=systemd', '/'], ['cpu', '/docker/ab'], ['cpuacct', '/docker/ab']])
  })

  test('a quota', () => {
    expect(parseCpuMax('150000 100000')).toBe(1.5)
    expect(parseCpuMax('max 100000')).toBeUndefined()
    expect(parseCpuMax('200000')).toBe(2)
    expect(parseCpuMax(undefined)).toBeUndefined()
    expect(parseCpuMax('100000 0')).toBeUndefined()
  })

  test('version 2: the tightest limit of all ancestors counts, and the cache is not used memory', async () => {
    const files = tree({
      '/proc/self/cgroup': '0::/system.slice/skein.service',
      '/sys/fs/cgroup/system.slice/cpu.max': '300000 100000',
      '/sys/fs/cgroup/system.slice/memory.max': String(4 * GiB),
      '/sys/fs/cgroup/system.slice/memory.current': String(3 * GiB),
      '/sys/fs/cgroup/system.slice/skein.service/cpu.max': 'max 100000',
      '/sys/fs/cgroup/system.slice/skein.service/memory.max': String(2 * GiB),
      '/sys/fs/cgroup/system.slice/skein.service/memory.current': String(1.5 * GiB),
      '/sys/fs/cgroup/system.slice/skein.service/memory.stat': `anon 1\ninactive_file ${GiB}\nslab 2`,
    })
    expect(await readCgroupLimits(files)).toEqual({ cpus: 3, memoryBytes: 2 * GiB, memoryLeftBytes: GiB })
  })

  test('version 2 in a container whose path is the host\'s', async () => {
    const files = tree({ '/proc/self/cgroup': '0::/docker/0123abc', '/sys/fs/cgroup/cpu.max': '50000 100000', '/sys/fs/cgroup/memory.max': 'max' })
    expect(await readCgroupLimits(files)).toEqual({ cpus: 0.5 })
  })

  test('version 1, with its two spellings of the folder and its way to say "no limit"', async () => {
    const files = tree({
      '/proc/self/cgroup': '4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab',
      '/sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us': '250000',
      '/sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us': '100000',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
      '/sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes': String(GiB),
      '/sys/fs/cgroup/memory/docker/ab/memory.usage_in_bytes': String(GiB / 2),
      '/sys/fs/cgroup/memory/docker/ab/memory.stat': `cache 5\ntotal_inactive_file ${GiB / 4}`,
    })
    expect(await readCgroupLimits(files)).toEqual({ cpus: 2.5, memoryBytes: GiB, memoryLeftBytes: 0.75 * GiB })
  })

  test('no limits and no files', async () => {
    expect(await readCgroupLimits(tree({}))).toEqual({})
  })
})

describe('containers', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, Readonly<Record<string, string>>, string | undefined])[] = [
    ['a machine of its own', { '/proc/sys/kernel/osrelease': '6.1.0-13-amd64', '/proc/self/cgroup': '0::/user.slice' }, {}, undefined],
    ['docker', { '/.dockerenv': '' }, {}, 'docker'],
    ['docker on cgroup v1', { '/proc/self/cgroup': '4:memory:/docker/0123abc' }, {}, 'docker'],
    ['docker inside WSL', { '/.dockerenv': '', '/proc/sys/kernel/osrelease': '5.15.90.1-microsoft-standard-WSL2' }, {}, 'docker'],
    ['podman', { '/run/.containerenv': 'engine="podman-4.3.1"', '/.dockerenv': '' }, {}, 'podman'],
    ['podman by its variable', {}, { container: 'podman' }, 'podman'],
    ['kubernetes', { '/.dockerenv': '' }, { KUBERNETES_SERVICE_HOST: '10.0.0.1' }, 'kubernetes'],
    ['kubernetes by its token', { '/var/run/secrets/kubernetes.io/serviceaccount': 'x' }, {}, 'kubernetes'],
    ['kubernetes by its group', { '/proc/self/cgroup': '0::/kubepods.slice/kubepods-besteffort.slice' }, {}, 'kubernetes'],
    ['lxc', {}, { container: 'lxc' }, 'lxc'],
    ['lxc by its group', { '/proc/self/cgroup': '0::/lxc.payload.web/init.scope' }, {}, 'lxc'],
    ['systemd-nspawn', { '/run/systemd/container': 'systemd-nspawn' }, {}, 'systemd-nspawn'],
    ['an engine nobody knows', { '/run/host/container-manager': 'toolbox9' }, {}, 'container'],
    ['an OCI runtime that is docker', { '/.dockerenv': '' }, { container: 'oci' }, 'docker'],
    ['WSL', { '/proc/sys/kernel/osrelease': '5.15.90.1-microsoft-standard-WSL2' }, {}, 'wsl'],
  ]
  test.each(cases)('%s', async (_name, files, env, expected) => {
    expect(await detectContainer(tree(files), env)).toBe(expected)
  })
})

describe('clouds', () => {
  const cases: readonly (readonly [string | undefined, Readonly<Record<string, string>>])[] = [
    ['aws', { sys_vendor: 'Amazon EC2', product_name: 'm6i.large', bios_vendor: 'Amazon EC2' }],
    ['aws', { sys_vendor: 'Xen', product_name: 'HVM domU', bios_version: '4.11.amazon' }],
    ['gcp', { sys_vendor: 'Google', product_name: 'Google Compute Engine' }],
    ['azure', { sys_vendor: 'Microsoft Corporation', product_name: 'Virtual Machine', chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77' }],
    ['oracle', { sys_vendor: 'QEMU', chassis_asset_tag: 'OracleCloud.com' }],
    ['hetzner', { sys_vendor: 'Hetzner', product_name: 'vServer' }],
    ['digitalocean', { sys_vendor: 'DigitalOcean', product_name: 'Droplet' }],
    ['openstack', { sys_vendor: 'OpenStack Foundation', product_name: 'OpenStack Nova' }],
    [undefined, { sys_vendor: 'Google', product_name: 'Eve' }],
    [undefined, { sys_vendor: 'Microsoft Corporation', product_name: 'Virtual Machine' }],
    [undefined, { sys_vendor: 'LENOVO', product_name: '20QD' }],
    [undefined, {}],
  ]
  test.each(cases)('%s from %j', async (expected, dmi) => {
    const files = Object.fromEntries(Object.entries(dmi).map(([name, text]) => [`/sys/class/dmi/id/${name}`, text]))
    expect(await detectCloud(tree(files))).toBe(expected)
  })
})

describe('batteries on Linux', () => {
  const supply = (name: string, fields: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
    Object.fromEntries(Object.entries(fields).map(([field, text]) => [`/sys/class/power_supply/${name}/${field}`, text]))

  test('a laptop on its battery', async () => {
    const files = tree({ ...supply('AC', { type: 'Mains', online: '0' }), ...supply('BAT0', { type: 'Battery', present: '1', status: 'Discharging', energy_now: '25000000', energy_full: '50000000', capacity: '49' }) })
    expect(await readLinuxBattery(files)).toEqual({ charging: false, fraction: 0.5 })
  })

  test('two batteries, one of them small, on mains', async () => {
    const files = tree({
      ...supply('AC', { type: 'Mains', online: '1' }),
      ...supply('BAT0', { type: 'Battery', status: 'Full', energy_now: '30000000', energy_full: '30000000' }),
      ...supply('BAT1', { type: 'Battery', status: 'Charging', energy_now: '0', energy_full: '10000000' }),
    })
    expect(await readLinuxBattery(files)).toEqual({ charging: true, fraction: 0.75 })
  })

  test('no mains to ask: the state decides; a mouse, an empty bay and a broken gauge do not count', async () => {
    const files = tree({
      ...supply('BAT0', { type: 'Battery', status: 'Charging', capacity: '80' }),
      ...supply('BAT1', { type: 'Battery', present: '0', capacity: '0' }),
      ...supply('BAT2', { type: 'Battery', status: 'Unknown' }),
      ...supply('hidpp_battery_0', { type: 'Battery', scope: 'Device', status: 'Discharging', capacity: '5' }),
    })
    expect(await readLinuxBattery(files)).toEqual({ charging: true, fraction: 0.8 })
  })

  test('a desktop has none', async () => {
    expect(await readLinuxBattery(tree(supply('AC', { type: 'Mains', online: '1' })))).toBeUndefined()
    expect(await readLinuxBattery(tree({}))).toBeUndefined()
  })
})

test('recorded: pmset -g batt', () => {
  expect(parsePmset(recorded('pmset-charged.txt'))).toEqual({ charging: true, fraction: 1 })
  expect(parsePmset(recorded('pmset-discharging.txt'))).toEqual({ charging: false, fraction: 0.9 })
  expect(parsePmset(recorded('pmset-not-charging.txt'))).toEqual({ charging: true, fraction: 0.88 })
  expect(parsePmset(recorded('pmset-no-battery.txt'))).toBeUndefined()
  expect(parsePmset('')).toBeUndefined()
})

describe('the whole environment', () => {
  test('a container with a quota of one and a half processors', async () => {
    const files = tree({
      '/proc/meminfo': meminfo,
      '/proc/self/cgroup': '0::/',
      '/sys/fs/cgroup/cpu.max': '150000 100000',
      '/sys/fs/cgroup/memory.max': String(GiB),
      '/sys/fs/cgroup/memory.current': String(GiB / 4),
      '/.dockerenv': '',
      '/sys/class/dmi/id/sys_vendor': 'Hetzner',
    })
    const environment = await createEnvironmentProbe(machine, files, noTool, 1_000).read()
    expect(environment).toEqual({ os: 'linux', arch: 'x64', cores: 1, memoryBytes: GiB, memoryFreeBytes: 0.75 * GiB, container: 'docker', cloud: 'hetzner' })
    expect(Environment.parse(environment)).toEqual(environment)
  })

  test('a machine without limits; affinity counts', async () => {
    const environment = await createEnvironmentProbe({ ...machine, cores: () => 3 }, tree({ '/proc/meminfo': meminfo }), noTool, 1_000).read()
    expect(environment).toEqual({ os: 'linux', arch: 'x64', cores: 3, memoryBytes: 64 * GiB, memoryFreeBytes: 32 * GiB })
  })

  test('nothing can be read: what Node knows remains', async () => {
    const environment = await createEnvironmentProbe(machine, tree({}), noTool, 1_000).read()
    expect(environment).toEqual({ os: 'linux', arch: 'x64', cores: 16, memoryBytes: 64 * GiB, memoryFreeBytes: 32 * GiB })
  })

  test('a Mac asks pmset', async () => {
    const asked: string[] = []
    const pmset: RunTool = (file, args) => {
      asked.push([file, ...args].join(' '))
      return Promise.resolve({ kind: 'output', text: recorded('pmset-discharging.txt') })
    }
    const environment = await createEnvironmentProbe({ ...machine, platform: 'darwin', arch: 'arm64' }, tree({}), pmset, 1_000).read()
    expect(environment).toEqual({ os: 'darwin', arch: 'arm64', cores: 16, memoryBytes: 64 * GiB, memoryFreeBytes: 32 * GiB, battery: { charging: false, fraction: 0.9 } })
    expect(asked).toEqual(['/usr/bin/pmset -g batt'])
  })
})
