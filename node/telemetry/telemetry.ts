/**
 * A node's logs and metrics behind the `Telemetry` port.
 *
 * @packageDocumentation
 */
import { destination, pino } from 'pino'
import type { Fact, Telemetry } from '../../actors/ports/telemetry.ts'
import type { LogLine } from './log-line.ts'
import { createMetrics } from './metrics.ts'
import type { NodeMetrics } from './metrics.ts'
import { prettyLine } from './pretty-line.ts'
import { createRedactor } from './redactor.ts'

/** Where log lines go: `process.stderr`, a file of `logFile`, a test's array. */
export interface LogStream {
  write(line: string): unknown
  readonly isTTY?: boolean
}

export interface TelemetryInit {
  /** Lines below it are neither written nor kept; `silent` writes nothing and keeps `info` and up. */
  readonly level: Fact['level'] | 'silent'
  readonly stream: LogStream
  /** How many recent lines are kept for `doctor` and `/v1/nodes/{peerId}/logs`. */
  readonly kept: number
  /** Stands in every JSON line, so that the lines of several nodes can be told apart. */
  readonly node?: string
  /** One readable line each instead of JSON; default: when the stream is a terminal. */
  readonly pretty?: boolean
  /** Texts that must never be written (mesh key, tokens, invite). */
  readonly secrets?: readonly string[]
  /** Wall clock, for tests. */
  readonly wallMs?: () => number
}

export interface NodeTelemetry extends Telemetry {
  readonly metrics: NodeMetrics
  /** The newest lines, oldest first, redacted. */
  recent(max?: number): LogLine[]
  /** From now on this text is replaced wherever it would be written. */
  keepSecret(secret: string): void
}

const rank: Record<TelemetryInit['level'], number> = { debug: 20, info: 30, warn: 40, error: 50, silent: 100 }

/** Writes facts as log lines, keeps the recent ones, counts them all. Never throws: telemetry must not end what it watches. */
export function createTelemetry(init: TelemetryInit): NodeTelemetry {
  const { level, stream, kept, node, secrets = [], wallMs = Date.now } = init
  const pretty = init.pretty ?? stream.isTTY === true
  const metrics = createMetrics()
  const redactor = createRedactor(secrets)
  const writtenFrom = rank[level]
  const keptFrom = Math.min(writtenFrom, rank.info)
  const sink = { write: (line: string) => writeQuietly(stream, line) }
  const logger = pino({ level, base: node === undefined ? null : { node }, timestamp: false, formatters: { level: (label) => ({ level: label }) } }, sink)
  // A ring: `next` is where the following line goes.
  const ring: LogLine[] = []
  let next = 0

  return {
    metrics,
    keepSecret: redactor.keepSecret,
    record(fact) {
      metrics.countFact(fact)
      if (rank[fact.level] < keptFrom) return
      const line: LogLine = { atWallMs: wallMs(), level: fact.level, name: fact.name, fields: redactor.fields(fact.fields) }
      if (kept > 0) {
        ring[next] = line
        next = (next + 1) % kept
      }
      if (rank[fact.level] < writtenFrom) return
      if (pretty) sink.write(prettyLine(line))
      else logger[fact.level]({ time: line.atWallMs, ...line.fields }, line.name)
    },
    recent(max = kept) {
      const inOrder = ring.length < kept ? ring : [...ring.slice(next), ...ring.slice(0, next)]
      return inOrder.slice(Math.max(0, inOrder.length - max))
    },
  }
}

/** A log file as a stream: appended to, its folder made, never blocking the loop. A full disk loses lines, not the node. */
export function logFile(path: string): LogStream & { end(): void } {
  const file = destination({ dest: path, mkdir: true, append: true, sync: false })
  file.on('error', () => undefined)
  return file
}

function writeQuietly(stream: LogStream, line: string): void {
  try {
    stream.write(line)
  } catch {
    // A log that cannot be written (closed pipe, full disk) must not stop the node.
  }
}
