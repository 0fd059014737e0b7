import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { flagName, loadConfig, redacted, variableName } from '../../node/config.ts'
import { nearest } from '../../node/config/nearest.ts'
import { defaultDataDir, type Surroundings } from '../../node/config/schema.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'

let root: string
let cwd: string
let data: string
let around: Surroundings

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'skein-config-'))
  cwd = join(root, 'work')
  data = join(root, 'home', '.local', 'share', 'skein')
  mkdirSync(cwd, { recursive: true })
  mkdirSync(data, { recursive: true })
  around = { env: {}, platform: 'linux', home: join(root, 'home'), hostname: 'grey lag.example.org', cores: 6 }
})
afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

async function failure(run: () => Promise<unknown>): Promise<MeshError> {
  try {
    await run()
  } catch (thrown) {
    if (thrown instanceof MeshError) return thrown
    throw thrown
  }
  throw new Error('expected an error')
}

describe('defaults', () => {
  it('need no file and no variable', async () => {
    const { config, origins, files } = await loadConfig({ cwd, env: {}, around })
    expect(config.name).toBe('grey-lag')
    expect(config.slots).toBe(6)
    expect(config.data).toBe(data)
    expect(config.listen.port).toBe(4747)
    expect(config.http).toEqual({ enabled: true, host: '127.0.0.1', port: 7420, tokens: {} })
    expect(config.asked).toEqual({ listenPort: false, httpPort: false })
    expect(new Set(Object.values(origins))).toEqual(new Set(['default']))
    expect(files).toEqual([])
  })

  it('puts data where the platform keeps it', () => {
    expect(defaultDataDir({ ...around, platform: 'darwin', home: '/Users/x' })).toBe('/Users/x/Library/Application Support/skein')
    expect(defaultDataDir({ ...around, env: { XDG_DATA_HOME: '/srv/share' } })).toBe('/srv/share/skein')
    expect(defaultDataDir({ ...around, env: { XDG_DATA_HOME: 'relative' }, home: '/home/x' })).toBe('/home/x/.local/share/skein')
  })

  it.each(['', 'relative'])('say what to do where there is no home (%j), and need none where it is said', async (home) => {
    const homeless = { cwd, env: {}, around: { ...around, home } }
    await expect(loadConfig(homeless)).rejects.toThrow(expect.objectContaining({ fault: { code: 'bad-request', detail: 'there is no home directory to keep data in', retryable: false, next: expect.stringContaining('--data') as string } }) as Error)
    expect((await loadConfig({ ...homeless, flags: { data } })).config.data).toBe(data)
    expect((await loadConfig({ ...homeless, env: { SKEIN_DATA: data } })).config.data).toBe(data)
    expect((await loadConfig({ ...homeless, around: { ...homeless.around, env: { XDG_DATA_HOME: '/srv/share' } } })).config.data).toBe('/srv/share/skein')
  })
})

describe('precedence', () => {
  it('is flags, environment, file of the folder, file of the data directory, defaults', async () => {
    writeFileSync(join(data, 'skein.config.json'), JSON.stringify({ name: 'far', slots: 1, mdns: false, logLevel: 'warn' }))
    writeFileSync(join(cwd, 'skein.config.yaml'), 'name: near\nslots: 2\nmdns: true\nlisten:\n  port: 5000\n')
    const { config, origins, files } = await loadConfig({ cwd, env: { SKEIN_SLOTS: '3', SKEIN_NAME: 'env' }, flags: { name: 'flag', data: undefined }, around })
    expect(config).toMatchObject({ name: 'flag', slots: 3, mdns: true, logLevel: 'warn', listen: { port: 5000 } })
    expect(origins).toMatchObject({
      name: 'flag', slots: 'environment', mdns: join(cwd, 'skein.config.yaml'), logLevel: join(data, 'skein.config.json'), 'listen.port': join(cwd, 'skein.config.yaml'), onBattery: 'default',
    })
    expect(files).toEqual([join(data, 'skein.config.json'), join(cwd, 'skein.config.yaml')])
    expect(config.asked.listenPort).toBe(true)
  })

  it('looks into the data directory that the other sources name', async () => {
    const elsewhere = join(root, 'elsewhere')
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, 'skein.config.yaml'), 'slots: 9\n')
    writeFileSync(join(cwd, 'skein.config.yaml'), 'data: ../elsewhere\n')
    const { config } = await loadConfig({ cwd, env: {}, around })
    expect(config.data).toBe(elsewhere)
    expect(config.slots).toBe(9)
  })

  it('reads only the file that was asked for', async () => {
    writeFileSync(join(cwd, 'skein.config.yaml'), 'slots: 2\n')
    writeFileSync(join(root, 'mine.yaml'), 'name: mine\nskills: [./a.ts, some-package]\n')
    const { config } = await loadConfig({ cwd, env: {}, around, file: '../mine.yaml' })
    expect(config).toMatchObject({ name: 'mine', slots: 6, skills: [join(root, 'a.ts'), 'some-package'] })
  })

  it('takes lists and objects from text', async () => {
    const { config } = await loadConfig({ cwd, env: { SKEIN_JOIN: 'one, two', SKEIN_DUTIES: '["worker"]', SKEIN_HTTP_TOKENS: '{"0123456789abcdef":"ada"}', SKEIN_MDNS: 'no', SKEIN_LIMITS_LEASE_MS: '9000' }, around })
    expect(config.join).toEqual(['one', 'two'])
    expect(config.duties).toEqual(['worker'])
    expect(config.http.tokens).toEqual({ '0123456789abcdef': 'ada' })
    expect(config.mdns).toBe(false)
    expect(config.limits.leaseMs).toBe(9000)
  })

  it('names flags and variables by one rule', () => {
    expect(variableName('limits.missionsLiveMax')).toBe('SKEIN_LIMITS_MISSIONS_LIVE_MAX')
    expect(flagName('onBattery')).toBe('--on-battery')
  })
})

describe('corrupt configuration', () => {
  it.each([
    ['broken YAML', 'skein.config.yaml', 'name: a\nslots: [1\n', /skein\.config\.yaml:\d+:\d+: /, /mend line/],
    ['broken JSON', 'skein.config.json', '{"name": "a",\n "slots": }', /skein\.config\.json:\d+:\d+: /, /mend line/],
    ['an alias of nothing', 'skein.config.yaml', 'skills: [*all]\n', /skein\.config\.yaml: Unresolved alias/, /quotes/],
    ['a repeated key', 'skein.config.yaml', 'name: a\nname: b\n', /skein\.config\.yaml:2:1: /, /mend line 2/],
    ['no map', 'skein.config.yaml', '- one\n', /is not a map/, /name: value/],
    ['an unknown key', 'skein.config.yaml', 'name: a\nslotz: 3\n', /skein\.config\.yaml:2: there is no setting slotz/, /did you mean slots\?/],
    ['an unknown nested key', 'skein.config.yaml', 'http:\n  prot: 3\n', /skein\.config\.yaml:2: there is no setting http\.prot/, /http\.port/],
    ['a value for a section', 'skein.config.yaml', 'listen: 4747\n', /listen is a section \(with host, port\)/, /indent/],
    ['a wrong type', 'skein.config.yaml', '\nslots: many\n', /skein\.config\.yaml:2: slots: .*expected number/, /slots is: /],
    ['a wrong element', 'skein.config.yaml', 'duties:\n  - worker\n  - boss\n', /skein\.config\.yaml:3: duties\.1: /, /duties is: /],
    ['a short token', 'skein.config.yaml', 'http:\n  tokens:\n    short: ada\n', /skein\.config\.yaml:3: http\.tokens: (?!.*short)/, /16 to 512/],
  ])('%s is one error with its place', async (_title, file, text, detail, next) => {
    writeFileSync(join(cwd, file), text)
    const { fault } = await failure(() => loadConfig({ cwd, env: {}, around }))
    expect(fault.code).toBe('bad-request')
    expect(fault.detail).toMatch(detail)
    expect(fault.next).toMatch(next)
  })

  it('refuses two files in one folder', async () => {
    writeFileSync(join(cwd, 'skein.config.yaml'), '')
    writeFileSync(join(cwd, 'skein.config.json'), '{}')
    expect((await failure(() => loadConfig({ cwd, env: {}, around }))).fault.next).toBe('keep one of them')
  })

  it('names the flag, the variable and the missing file', async () => {
    expect((await failure(() => loadConfig({ cwd, env: {}, around, flags: { 'listen.port': 'x' } }))).fault.detail).toContain('--listen-port is "x"')
    expect((await failure(() => loadConfig({ cwd, env: {}, around, flags: { 'listen.port': '70000' } }))).fault.detail).toContain('--listen-port: ')
    expect((await failure(() => loadConfig({ cwd, env: { SKEIN_MDNS: 'perhaps' }, around }))).fault.detail).toContain('SKEIN_MDNS is "perhaps"')
    expect((await failure(() => loadConfig({ cwd, env: { SKEIN_LOG_LEVEL: 'loud' }, around }))).fault.detail).toContain('SKEIN_LOG_LEVEL: ')
    expect((await failure(() => loadConfig({ cwd, env: {}, around, file: 'none.yaml' }))).fault.detail).toContain('none.yaml: cannot be read')
  })

  it('tells of variables that are no setting, but does not fail on them', async () => {
    const { ignored } = await loadConfig({ cwd, env: { SKEIN_SLOT: '3', SKEIN_URL: 'http://x', SKEIN_PORT_7420_TCP_ADDR: '10.0.0.1' }, around })
    expect(ignored).toContainEqual({ variable: 'SKEIN_SLOT', nearest: 'SKEIN_SLOTS' })
    expect(ignored.map((entry) => entry.variable)).not.toContain('SKEIN_URL')
  })
})

describe('the pace of replicated logs', () => {
  it('can be changed by file, variable and flag', async () => {
    const { config } = await loadConfig({ cwd, env: { SKEIN_REPLICATION_MEMBER_SILENT_MS: '15000' }, around, flags: { 'replication.membersLookMs': '500' } })
    expect(config.replication).toMatchObject({ memberSilentMs: 15_000, membersLookMs: 500 })
  })

  it.each([
    ['an election that three lost pulses would start', { 'replication.electionMsMin': '1000' }, /electionMsMin|election-ms-min/],
    ['elections that would collide for ever', { 'replication.electionMsMax': '1500' }, /electionMsMax|election-ms-max/],
    ['a snapshot that leaves nothing out', { 'replication.snapshotEntries': '100' }, /snapshotTailEntries|snapshot/],
  ])('refuses %s', async (_title, flags, detail) => {
    expect((await failure(() => loadConfig({ cwd, env: {}, around, flags }))).fault.detail).toMatch(detail)
  })
})

it('shows no secret', () => {
  expect(redacted('http.tokens', { '0123456789abcdef': 'ada' })).toEqual(['ada: (secret)'])
  expect(redacted('join', ['skein1abc', '/ip4/127.0.0.1/tcp/1'])).toEqual(['(invite: secret)', '/ip4/127.0.0.1/tcp/1'])
  expect(redacted('programs', [{ capability: 'a', command: 'b', env: { KEY: 'v' } }])).toEqual([{ capability: 'a', command: 'b', env: { KEY: '(secret)' } }])
})

it('finds the nearest word, or none', () => {
  expect(nearest('reop.report', ['repo.report', 'llm.chat'])).toBe('repo.report')
  expect(nearest('xyz', ['repo.report'])).toBeUndefined()
})
