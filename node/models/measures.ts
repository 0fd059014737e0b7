/** What is measured of the models of this node, told to it when it matters: at most once a second, and when something has changed by more than a tenth. */
import type { Clock } from '../../actors/ports/clock.ts'
import type { CapabilityMeasure } from '../../actors/ports/skill-runner.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { embedCapability, modelsVersion } from '../../protocols/models/schema.ts'
import { type HostedModel, isModelOpen, warmUpMsOf } from './hosted-models.ts'

export type MeasureListener = (measures: readonly CapabilityMeasure[]) => void

export interface MeasureTeller {
  listen(listener: MeasureListener): void
  /** Something may have changed. */
  look(): void
  close(): void
}

export function measureOf(model: HostedModel): CapabilityMeasure {
  const { name, capability, members, speed } = model
  const msPerInputUnit = speed.msPerInput()
  // Who embeds writes nothing.
  const msPerOutputUnit = speed.msPerOutput() ?? (capability === embedCapability && msPerInputUnit !== undefined ? 0 : undefined)
  const closedForMs = isModelOpen(model) ? undefined : Math.min(...members.map(({ by }) => by.breaker?.closedForMs() ?? 0))
  return {
    capability, version: modelsVersion, model: name,
    ...(msPerOutputUnit === undefined ? {} : { msPerOutputUnit }),
    ...(msPerInputUnit === undefined ? {} : { msPerInputUnit }),
    warmUpMs: warmUpMsOf(model),
    warm: [...new Set(members.flatMap(({ by }) => by.provider.warmPrefixes?.(name) ?? []))].slice(0, warmToldMax),
    ...(closedForMs === undefined ? {} : { closedForMs }),
  }
}

const warmToldMax = 64

export function createMeasureTeller(clock: Clock, models: () => readonly HostedModel[]): MeasureTeller {
  const listeners: MeasureListener[] = []
  let told: readonly CapabilityMeasure[] = []
  let toldAtMs: InstantMs = -Infinity
  let cancelLook: (() => void) | undefined
  let cancelReopening: (() => void) | undefined

  function tell(measures: readonly CapabilityMeasure[], nowMs: InstantMs): void {
    told = measures
    toldAtMs = nowMs
    for (const listener of listeners) listener(measures)
    const closed = measures.flatMap(({ closedForMs }) => closedForMs ?? [])
    cancelReopening?.()
    cancelReopening = closed.length === 0 ? undefined : clock.schedule(Math.min(...closed), look)
  }

  function look(): void {
    if (listeners.length === 0) return
    const nowMs = clock.monotonicMs()
    const measures = models().map(measureOf)
    const elapsedMs = nowMs - toldAtMs
    if (isSame(told, measures, elapsedMs)) return
    if (elapsedMs >= limits.measuresToldMs) return tell(measures, nowMs)
    cancelLook ??= clock.schedule(limits.measuresToldMs - elapsedMs, () => {
      cancelLook = undefined
      look()
    })
  }

  return {
    listen(listener) {
      listeners.push(listener)
      // The others were told the same, or what was the same but for trifles.
      tell(models().map(measureOf), clock.monotonicMs())
    },
    look,
    close() {
      listeners.length = 0
      cancelLook?.()
      cancelReopening?.()
    },
  }
}

/** Whether they differ by so much that bids would. */
export function differs(before: number | undefined, now: number | undefined): boolean {
  if (before === undefined || now === undefined) return before !== now
  return Math.abs(now - before) > 0.1 * Math.max(before, now)
}

function isSame(before: readonly CapabilityMeasure[], now: readonly CapabilityMeasure[], elapsedMs: number): boolean {
  return before.length === now.length && now.every((measure, i) => {
    const old = before[i]
    return old !== undefined && old.capability === measure.capability && old.model === measure.model
      && !differs(old.msPerInputUnit, measure.msPerInputUnit) && !differs(old.msPerOutputUnit, measure.msPerOutputUnit) && !differs(old.warmUpMs, measure.warmUpMs)
      && closesAlike(old.closedForMs, measure.closedForMs, elapsedMs)
      && old.warm.length === measure.warm.length && old.warm.every((prefix) => measure.warm.includes(prefix))
  })
}

/** Closed until about the same instant. */
function closesAlike(before: number | undefined, now: number | undefined, elapsedMs: number): boolean {
  if (before === undefined || now === undefined) return before === now
  return Math.abs(before - elapsedMs - now) < limits.measuresToldMs
}
