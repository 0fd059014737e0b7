/** A call of a model that failed and cost something all the same: whoever keeps the accounts counts it. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Usage } from '../../protocols/models/schema.ts'

export class PaidFailure extends MeshError {
  /** What was used until it failed; in part an estimate. */
  readonly usage: Usage

  constructor({ fault: { code, detail, retryable, next, retryAfterMs } }: MeshError, usage: Usage) {
    super(code, detail, { retryable, ...(next === undefined ? {} : { next }), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
    this.usage = usage
  }
}
