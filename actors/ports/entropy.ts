export interface Entropy {
  /** Two unsigned 32-bit words that no other node or start has. */
  seed(): [number, number]
}
