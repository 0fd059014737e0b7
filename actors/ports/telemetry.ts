/** A thing that happened, for logs and metrics. Names are `room.event`, fields are flat and carry their units. */
export interface Fact {
  readonly name: string
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: Readonly<Record<string, string | number | boolean | undefined>>
}

export interface Telemetry {
  record(fact: Fact): void
}
