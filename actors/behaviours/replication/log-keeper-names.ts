/** What the copies of a log on this node are called, one after the other: who has forgotten what it promised is another member. */
import type { GroupId, Incarnation } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import type { FormerCopy } from '../../../protocols/replicated-log/schema.ts'
import type { ActorContext } from '../../runtime/actor.ts'

/** What is remembered of a copy that goes. @param next what a later one is to be called; undefined: there will be none. */
export function formerCopy(group: GroupId, next: Incarnation | undefined, { wallMs }: ActorContext): FormerCopy {
  return { group, ...(next === undefined ? {} : { next }), sinceWallMs: wallMs, untilWallMs: wallMs + limits.formerCopyKeptMs }
}

/** `store.n`: the n-th life of this group's copy in one store. */
export function nextIncarnation(last: Incarnation, store: Incarnation): Incarnation {
  const [of, life] = last.split('.')
  return `${store}.${of === store ? Number(life ?? 0) + 1 : 1}` as Incarnation
}
