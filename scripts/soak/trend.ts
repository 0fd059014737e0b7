/** Whether something grows: a straight line through samples, and how well they determine it. */

export interface Point {
  readonly atMs: number
  readonly value: number
}

export interface Trend {
  /** In units of the value per hour. NaN of fewer than three points, or when all were taken at once. */
  readonly slopePerHour: number
  /** Of the slope, in the same unit. Samples that follow one another are alike, so it is larger than it would be of as many independent ones. */
  readonly standardError: number
  readonly mean: number
  readonly points: number
  /** From the first to the last. */
  readonly coveredMs: number
}

const hourMs = 3_600_000
/** Residuals that are more alike than this would say that nothing is known at all. */
const likenessMax = 0.98

/** Ordinary least squares. The standard error is widened by √((1 + r) ⁄ (1 − r)), r being how much a residual is like the one before it (lag-one autocorrelation, never taken as negative). */
export function trendOf(points: readonly Point[]): Trend {
  const count = points.length
  const mean = sum(points.map(({ value }) => value)) / count
  const meanMs = sum(points.map(({ atMs }) => atMs)) / count
  const spread = sum(points.map(({ atMs }) => (atMs - meanMs) ** 2))
  const coveredMs = (points.at(-1)?.atMs ?? 0) - (points[0]?.atMs ?? 0)
  if (count < 3 || spread === 0) return { slopePerHour: Number.NaN, standardError: Number.NaN, mean, points: count, coveredMs }
  const slope = sum(points.map(({ atMs, value }) => (atMs - meanMs) * (value - mean))) / spread
  const residuals = points.map(({ atMs, value }) => value - mean - slope * (atMs - meanMs))
  const squares = sum(residuals.map((residual) => residual ** 2))
  const products = sum(residuals.slice(1).map((residual, index) => residual * (residuals[index] ?? 0)))
  const likeness = squares === 0 ? 0 : Math.min(likenessMax, Math.max(0, products / squares))
  const standardError = Math.sqrt(squares / (count - 2) / spread) * Math.sqrt((1 + likeness) / (1 - likeness))
  return { slopePerHour: slope * hourMs, standardError: standardError * hourMs, mean, points: count, coveredMs }
}

/** The samples of the last two thirds of the time that they cover: before that a process warms up. */
export function lastTwoThirds(points: readonly Point[]): Point[] {
  const first = points[0]?.atMs ?? 0
  const last = points.at(-1)?.atMs ?? 0
  return points.filter(({ atMs }) => atMs >= first + (last - first) / 3)
}

export type Verdict = 'flat' | 'grows' | 'shrinks' | 'too short to tell'

/** Less than this share of the mean in an hour is not worth a word, however surely it is measured. */
const shareOfNoMatter = 0.01
/** When twice the standard error is more than this share of the mean in an hour, samples say neither. */
const shareThatMatters = 0.25
/** A heap that is collected seldom, code that is compiled and missions that rest for a minute look like growth for so long. */
const coveredMsMin = 10 * 60_000

/** @returns `flat` when the slope is within twice its standard error of nothing, or too small to matter, and known well enough for a real growth to have been seen. */
export function verdictOf({ slopePerHour, standardError, mean, coveredMs }: Trend): Verdict {
  if (Number.isNaN(slopePerHour) || coveredMs < coveredMsMin) return 'too short to tell'
  const certain = 2 * standardError
  if (Math.abs(slopePerHour) > Math.max(certain, shareOfNoMatter * mean)) return slopePerHour > 0 ? 'grows' : 'shrinks'
  return certain > shareThatMatters * mean ? 'too short to tell' : 'flat'
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
