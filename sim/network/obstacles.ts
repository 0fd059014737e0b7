/** What stands between two hosts. Every obstacle counts by itself, so that several may overlap and each heals alone. */
import type { Link, Station, Wall } from './directory.ts'
import type { Heal } from './network.ts'

/** Whether nothing passes from the one host to the other, whatever link they have. */
function isWalled(from: Station, to: Station): boolean {
  return from.isolations.size > 0 || to.isolations.size > 0 || (from.walls.length > 0 && from.walls.some((wall) => wall.to.has(to)))
}

/** Whether frames towards this end vanish. */
export function isBlocked(link: Link, to: Station): boolean {
  return link.cut || isWalled(link.low === to ? link.high : link.low, to)
}

export function isObstructed(link: Link): boolean {
  return link.cut || isWalled(link.low, link.high) || isWalled(link.high, link.low)
}

/** Whether a question and its answer do not get through: what a ping and a dial need. */
export function isSilent(link: Link): boolean {
  return link.low.life?.paused === true || link.high.life?.paused === true || isObstructed(link)
}

/** As not `isSilent`, also of a pair that has no link yet. */
export function canTalk(left: Station | undefined, right: Station | undefined): boolean {
  if (left?.life?.paused !== false || right?.life?.paused !== false) return false
  return left === right || (left.links.get(right.index)?.cut !== true && !isWalled(left, right) && !isWalled(right, left))
}

/**
 * Puts a wall before one group, against another.
 * @param changed called for every link it crosses, when it is raised and when it falls. It costs the links of the smaller group.
 */
export function raiseWall(from: readonly Station[], to: readonly Station[], changed: (link: Link) => void): Heal {
  const wall: Wall = { to: new Set(to) }
  const [few, many] = from.length <= to.length ? [from, wall.to] : [to, new Set(from)]
  const tellCrossed = (): void => {
    for (const station of few) for (const link of station.links.values()) if (many.has(link.low === station ? link.high : link.low)) changed(link)
  }
  for (const station of from) station.walls.push(wall)
  tellCrossed()
  let standing = true
  return () => {
    if (!standing) return
    standing = false
    for (const station of from) station.walls = station.walls.filter((other) => other !== wall)
    tellCrossed()
  }
}
