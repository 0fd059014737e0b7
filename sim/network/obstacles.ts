/** What stands between two hosts. Every obstacle counts by itself, so that several may overlap and each heals alone. */
import type { Link, Station, Wall } from './directory.ts'
import type { Heal } from './network.ts'

/** Whether frames from the one end to the other vanish. */
export function isBlocked(link: Link, to: Station): boolean {
  if (link.cut || link.low.isolations > 0 || link.high.isolations > 0) return true
  const from = link.low === to ? link.high : link.low
  return from.walls.length > 0 && from.walls.some((wall) => wall.to.has(to))
}

export function isObstructed(link: Link): boolean {
  return isBlocked(link, link.low) || isBlocked(link, link.high)
}

/** Whether a question and its answer do not get through: what a ping and a dial need. */
export function isSilent(link: Link): boolean {
  return link.low.life?.paused === true || link.high.life?.paused === true || isObstructed(link)
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
