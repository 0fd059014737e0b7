/** Quantities carry their unit in the name; these aliases say which clock or scale a number is on. */

/** Milliseconds on the node's monotonic clock. Never crosses the wire. */
export type InstantMs = number
/** A length of time. The only form in which time crosses the wire, but for signed expiry. */
export type DurationMs = number
/** Milliseconds since 1970 on the wall clock: for signed expiry, deadlines shown to people, logs. */
export type WallMs = number
export type Bytes = number
