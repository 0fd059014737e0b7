import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { LogLine } from '../../../node/telemetry/log-line.ts'
import { createTelemetry, logFile } from '../../../node/telemetry/telemetry.ts'
import type { TelemetryInit } from '../../../node/telemetry/telemetry.ts'

function recording(init: Partial<TelemetryInit> = {}) {
  const written: string[] = []
  const telemetry = createTelemetry({ level: 'info', kept: 100, stream: { write: (line) => written.push(line) }, wallMs: () => 1_700_000_000_123, ...init })
  return { telemetry, written }
}

describe('log lines', () => {
  test('are one JSON object each when the stream is no terminal', () => {
    const { telemetry, written } = recording({ node: 'node-a' })
    telemetry.record({ name: 'bidding.awarded', level: 'info', fields: { taskId: 'root/1', waitedMs: 12, absent: undefined } })
    expect(written).toHaveLength(1)
    expect(JSON.parse(written[0] ?? '')).toEqual({ level: 'info', time: 1_700_000_000_123, node: 'node-a', taskId: 'root/1', waitedMs: 12, msg: 'bidding.awarded' })
  })

  test('are one readable line on a terminal, whatever the fields hold', () => {
    const { telemetry, written } = recording({ pretty: true })
    telemetry.record({ name: 'skill.failed', level: 'warn', fields: { detail: 'two\nlines \u001b[31m', peer: 'node-b' } })
    expect(written[0]).toContain('22:13:20.123')
    expect(written[0]).toContain('skill.failed')
    expect(written[0]).toContain('node-b')
    expect(written[0]?.trimEnd()).not.toContain('\n')
    expect(written[0]).not.toContain('\u001b[31m')
  })

  test('below the level are not written', () => {
    const { telemetry, written } = recording({ level: 'warn' })
    telemetry.record({ name: 'a.debug', level: 'debug', fields: {} })
    telemetry.record({ name: 'a.info', level: 'info', fields: {} })
    telemetry.record({ name: 'a.warn', level: 'warn', fields: {} })
    expect(written).toHaveLength(1)
    expect(telemetry.recent().map((line) => line.name)).toEqual(['a.info', 'a.warn'])
  })

  test('silent writes nothing and still keeps what doctor needs', () => {
    const { telemetry, written } = recording({ level: 'silent' })
    telemetry.record({ name: 'a.error', level: 'error', fields: {} })
    expect(written).toEqual([])
    expect(telemetry.recent()).toHaveLength(1)
  })

  test('a stream that throws does not stop the node', () => {
    const { telemetry } = recording({ stream: { write: () => { throw new Error('EPIPE') } } })
    expect(() => telemetry.record({ name: 'a.b', level: 'error', fields: {} })).not.toThrow()
  })

  test('can go to a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'skein-log-'))
    const path = join(folder, 'deep', 'node.log')
    const stream = logFile(path)
    const { telemetry } = recording({ stream })
    telemetry.record({ name: 'node.started', level: 'info', fields: {} })
    stream.end()
    await vi.waitFor(async () => expect(await readFile(path, 'utf8')).toContain('node.started'), { timeout: 10_000 })
    await rm(folder, { recursive: true })
  })
})

describe('recent lines', () => {
  test('are the newest, in order, no more than kept', () => {
    const { telemetry } = recording({ kept: 3 })
    for (let i = 0; i < 8; i++) telemetry.record({ name: `a.${i}`, level: 'info', fields: {} })
    expect(telemetry.recent().map((line) => line.name)).toEqual(['a.5', 'a.6', 'a.7'])
    expect(telemetry.recent(2).map((line) => line.name)).toEqual(['a.6', 'a.7'])
    for (const line of telemetry.recent()) expect(LogLine.parse(line)).toEqual(line)
  })

  test('may be none', () => {
    const { telemetry } = recording({ kept: 0 })
    telemetry.record({ name: 'a.b', level: 'info', fields: {} })
    expect(telemetry.recent()).toEqual([])
  })
})

describe('secrets', () => {
  const meshKey = 'c0ffee'.repeat(10)
  const cases: Record<string, [fields: Record<string, string>, secret: string]> = {
    'told beforehand': [{ detail: `wrong key ${meshKey}!` }, meshKey],
    'an Authorization header': [{ detail: 'GET / Authorization: Bearer abc.DEF-123_xyz' }, 'abc.DEF-123_xyz'],
    'basic credentials': [{ detail: 'authorization: Basic dXNlcjpwYXNz' }, 'dXNlcjpwYXNz'],
    'a bearer token': [{ detail: 'sent "Bearer s3cr3tt0k3n"' }, 's3cr3tt0k3n'],
    'a field named authorization': [{ authorization: 'whatever' }, 'whatever'],
    'a field named meshKey': [{ meshKey: 'whatever' }, 'whatever'],
    'a field that ends in Token': [{ bridgeToken: 'whatever' }, 'whatever'],
    'a field named invite': [{ invite: 'whatever' }, 'whatever'],
    'a pnet key file': [{ detail: `/key/swarm/psk/1.0.0/\n/base16/\n${'ab'.repeat(32)}` }, 'ab'.repeat(32)],
    'an invite': [{ detail: 'join skein://AbCdEf0123456789+/xyz=@host' }, 'AbCdEf0123456789'],
    'a model key': [{ detail: 'key sk-proj-ABCDEFGHIJKLMNOP1234 refused' }, 'sk-proj-ABCDEFGHIJKLMNOP1234'],
    'credentials in a URL': [{ detail: 'clone https://me:hunter22@example.org/x.git' }, 'hunter22'],
    'a token in a query': [{ detail: 'GET /v1/nodes?token=qwertz&x=1' }, 'qwertz'],
  }

  test.each(Object.entries(cases))('%s never reaches the stream or the kept lines', (_name, [fields, secret]) => {
    for (const pretty of [true, false]) {
      const { telemetry, written } = recording({ pretty, secrets: [meshKey] })
      telemetry.record({ name: 'a.b', level: 'error', fields })
      expect(written.join('')).not.toContain(secret)
      expect(JSON.stringify(telemetry.recent())).not.toContain(secret)
      expect(written.join('')).toContain('[redacted]')
    }
  })

  test('can be told later, and one inside another disappears whole', () => {
    const { telemetry, written } = recording()
    telemetry.keepSecret('secret-one')
    telemetry.keepSecret('secret-one-and-more')
    telemetry.record({ name: 'a.b', level: 'info', fields: { detail: 'secret-one-and-more secret-one' } })
    expect(written.join('')).not.toMatch(/secret-one|and-more/)
  })

  test('digests, counts and ordinary words stay', () => {
    const digest = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
    const { telemetry } = recording()
    const fields = { digest, tokens: 12, promptTokens: 40, detail: 'the skein node started, key conflict on mission', url: 'http://127.0.0.1:7420/v1/missions?limit=3' }
    telemetry.record({ name: 'a.b', level: 'info', fields })
    expect(telemetry.recent()[0]?.fields).toEqual(fields)
  })
})

describe('metrics', () => {
  test('count facts, also those below the log level', async () => {
    const { telemetry } = recording({ level: 'error' })
    telemetry.record({ name: 'bidding.awarded', level: 'debug', fields: {} })
    telemetry.record({ name: 'bidding.awarded', level: 'debug', fields: {} })
    expect(await telemetry.metrics.text()).toContain('skein_facts_total{name="bidding.awarded",level="debug"} 2')
  })

  test('do not grow with the names of facts', async () => {
    const { telemetry } = recording({ level: 'error', kept: 0 })
    for (let i = 0; i < 1_500; i++) telemetry.record({ name: `bug.${i}`, level: 'debug', fields: {} })
    const text = await telemetry.metrics.text()
    expect(text.split('\n').filter((line) => line.startsWith('skein_facts_total{'))).toHaveLength(1_001)
    expect(text).toContain('skein_facts_total{name="other",level="debug"} 500')
  })

  test('show gauges, requests and the loop delay; a failing listener does not fail the scrape', async () => {
    const { telemetry } = recording()
    const { metrics } = telemetry
    metrics.setGauges({ nodesByState: { gone: 3 } })
    metrics.onScrape(() => metrics.setGauges({ nodesByState: { connected: 2, known: 1 }, slots: 4, slotsBusy: 1, missionsLive: 5, deadLetters: 6 }))
    metrics.onScrape(() => { throw new Error('mesh is gone') })
    metrics.observeHttp({ method: 'GET', route: '/v1/nodes', status: 200, tookMs: 3 })
    metrics.streams(1)
    const text = await metrics.text()
    for (const line of ['skein_nodes{state="connected"} 2', 'skein_slots 4', 'skein_slots_busy 1', 'skein_missions_live 5', 'skein_dead_letters 6', 'skein_http_streams 1']) expect(text).toContain(line)
    expect(text).not.toContain('state="gone"')
    expect(text).toContain('skein_http_request_duration_seconds_count{method="GET",route="/v1/nodes",status="200"} 1')
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds')
    expect(metrics.contentType).toContain('text/plain')
  })

  test('of two nodes in one process are apart', async () => {
    const first = recording().telemetry
    const second = recording().telemetry
    first.record({ name: 'only.first', level: 'info', fields: {} })
    expect(await second.metrics.text()).not.toContain('only.first')
  })
})
