/** Collects what the children of a report or a section found. */
import type { z } from 'zod'
import type { SkillChild, SkillContext } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import { mergeMeasurements, emptyMeasurement } from './measurement.ts'
import { decodeFingerprints, encodeFingerprints, mergeFingerprints } from './measure/fingerprints.ts'
import type { FingerprintSet } from './measure/fingerprints.ts'
import { DependencyReport, HistoryReport, Measurement } from './schema.ts'

export interface GatheredChildren {
  readonly measured: Measurement
  readonly fingerprints: FingerprintSet | undefined
  readonly dependencies: DependencyReport | undefined
  readonly history: HistoryReport | undefined
}

/** @throws MeshError `skill-failed` when every task that measures failed: there is nothing to report. */
export async function gather(children: readonly SkillChild[], topN: number, context: SkillContext): Promise<GatheredChildren> {
  const measurements: Measurement[] = []
  const missing: Measurement['missing'] = []
  let dependencies: DependencyReport | undefined
  let history: HistoryReport | undefined
  for (const child of children) {
    if (child.state !== 'accepted' || child.output === undefined) {
      missing.push({ part: child.name, reason: (child.fault?.detail ?? `it was ${child.state}`).slice(0, 300) })
    } else if (child.capability === 'repo.dependencies') {
      dependencies = checked(DependencyReport, child)
    } else if (child.capability === 'repo.history') {
      history = checked(HistoryReport, child)
    } else {
      const measured = checked(Measurement, child)
      measurements.push({ ...measured, missing: measured.missing.map((each) => ({ ...each, part: `${child.name}/${each.part}` })) })
    }
  }
  if (measurements.length === 0) throw new MeshError('skill-failed', `no part of the folder could be measured: ${missing[0]?.reason ?? 'every task failed'}`, { next: 'see skein mission why, then retry the mission', retryable: false })
  measurements.push({ ...emptyMeasurement(), missing })
  const measured = mergeMeasurements(measurements, topN)
  return { measured, fingerprints: await readFingerprints(measured, context), dependencies, history }
}

function checked<Schema extends z.ZodType>(schema: Schema, child: SkillChild): z.infer<Schema> {
  const parsed = schema.safeParse(child.output)
  if (!parsed.success) throw new MeshError('skill-failed', `the result of ${child.name} is not one of ${child.capability}`, { next: 'run the same release of Skein on all nodes', retryable: false })
  return parsed.data
}

async function readFingerprints(measured: Measurement, context: SkillContext): Promise<FingerprintSet | undefined> {
  const sets: FingerprintSet[] = []
  for (const [index, ref] of measured.fingerprints.entries()) {
    context.progress(index / measured.fingerprints.length, 'comparing repeated code')
    sets.push(decodeFingerprints(await context.blobs.read(ref)))
  }
  return sets.length === 0 ? undefined : mergeFingerprints(sets)
}

/** What a section hands up: its sum, with the fingerprints of all its parts in one blob. */
export async function handUp({ measured, fingerprints }: GatheredChildren, context: SkillContext): Promise<Measurement> {
  if (fingerprints === undefined) return measured
  return { ...measured, fingerprints: [await context.blobs.write(encodeFingerprints(fingerprints), { name: 'fingerprints', mediaType: 'application/octet-stream' })] }
}
