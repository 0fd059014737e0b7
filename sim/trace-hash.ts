/** A running hash over everything that happens, in order: two runs with the same hash were the same run. Not cryptographic. */

export interface TraceHash {
  number(value: number): void
  text(value: string): void
  bytes(value: Uint8Array): void
  /** 16 hex digits. */
  hex(): string
}

const prime = 0x01000193

export function createTraceHash(): TraceHash {
  let low = 0x811c9dc5
  let high = 0x9e3779b9
  const float = new Float64Array(1)
  const words = new Uint32Array(float.buffer)

  /** Two FNV-1a style lanes that are fed alike and mixed differently. */
  function word(value: number): void {
    low = Math.imul(low ^ value, prime)
    low ^= low >>> 15
    high = Math.imul((high + value) | 0, 0x85ebca6b) ^ (low >>> 7)
  }

  const hash: TraceHash = {
    number(value) {
      float[0] = value
      word(words[0]!)
      word(words[1]!)
    },
    text(value) {
      word(value.length)
      for (let at = 0; at < value.length; at++) word(value.charCodeAt(at))
    },
    bytes(value) {
      const { length } = value
      word(length)
      let at = 0
      for (; at + 4 <= length; at += 4) word(value[at]! | (value[at + 1]! << 8) | (value[at + 2]! << 16) | (value[at + 3]! << 24))
      for (; at < length; at++) word(value[at]!)
    },
    hex: () => (high >>> 0).toString(16).padStart(8, '0') + (low >>> 0).toString(16).padStart(8, '0'),
  }
  return hash
}
