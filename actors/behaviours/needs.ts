/** What a task or a call asks of a node, as a key. */
import type { Call } from '../../protocols/bidding/schema.ts'

export type Need = Pick<Call, 'capability' | 'version' | 'attributes'>

/** Every waiting task is asked at every tick. */
const needs = new WeakMap<Need, string>()

/** Those that ask the same find the same providers. */
export function needOf(spec: Need): string {
  const { capability, version, attributes } = spec
  if (version === undefined && attributes === undefined) return capability
  let need = needs.get(spec)
  if (need === undefined) needs.set(spec, (need = `${capability} ${JSON.stringify([version, attributes])}`))
  return need
}
