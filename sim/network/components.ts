/** Which hosts a path of live connections joins. Worked out when asked, and kept until something changed. */
import { otherEnd, type Directory, type Station } from './directory.ts'
import { isObstructed } from './obstacles.ts'

/** @param version grows with every change of a connection or an obstacle. @returns whether the two, both alive, are joined. */
export function createComponents(directory: Directory, version: () => number): (from: Station, to: Station) => boolean {
  let known = new Map<Station, number>()
  let knownVersion = -1

  function work(): void {
    known = new Map()
    knownVersion = version()
    for (const [component, start] of directory.live.entries()) {
      if (known.has(start)) continue
      const pending = [start]
      known.set(start, component)
      for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
        for (const link of at.links.values()) {
          const far = otherEnd(link, at)
          if (!link.alive || known.has(far) || isObstructed(link)) continue
          known.set(far, component)
          pending.push(far)
        }
      }
    }
  }

  return (from, to) => {
    if (from.life === undefined || to.life === undefined) return false
    const direct = from.links.get(to.index)
    if (from === to || (direct?.alive === true && !isObstructed(direct))) return true
    if (knownVersion !== version()) work()
    return known.get(from) === known.get(to)
  }
}
