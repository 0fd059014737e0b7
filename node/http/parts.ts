import type { MeshApi } from '../../actors/mesh-api.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import type { NodeMetrics } from '../telemetry/metrics.ts'
import type { BridgeLimits } from './bridge-limits.ts'
import type { StreamSet } from './stream-set.ts'
import type { StreamingBlobStore } from './upload.ts'

/** What the routes are made of. */
export interface BridgeParts {
  readonly mesh: MeshApi
  readonly blobs: StreamingBlobStore
  readonly metrics: NodeMetrics
  readonly log: Telemetry
  readonly version: string
  readonly limits: BridgeLimits
  readonly streams: StreamSet
}
