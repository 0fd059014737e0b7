/** Follows a mission on the screen until it ends or the person lets go. */
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { IndexedEvent, MissionState, ProgressNote } from '../../protocols/tasking/schema.ts'
import type { MeshClient } from '../http/client.ts'
import type { OnMoved } from '../http/client-roaming.ts'
import type { CliWorld, Voice } from './context.ts'
import { printable } from './view/format.ts'
import { livePane } from './view/live-pane.ts'
import { type MissionProgress, applyEvent, applyNote, newProgress } from './view/mission-progress.ts'
import { resetProgress } from './view/mission-reset.ts'
import { plainLine } from './view/plain-lines.ts'
import { treeLines } from './view/tree-lines.ts'

export interface Following {
  /** Everything that was seen. */
  readonly progress: MissionProgress
  /** Absent when the person let go first. */
  readonly state?: MissionState
}

export interface FollowOptions {
  /** Called after each event that was folded: the demo acts on them. */
  readonly onEvent?: (event: IndexedEvent, progress: MissionProgress) => void
  readonly onNote?: (note: ProgressNote, progress: MissionProgress) => void
  /** Aborting lets go. */
  readonly signal?: AbortSignal
  /** Hands out a way to print lasting lines while the tree is drawn. */
  readonly onScreen?: (print: (line: string) => void) => void
}

/** A stream that can be redrawn shows the tree in place; any other gets a line per event. */
export async function follow(client: MeshClient, id: MissionId, voice: Voice, world: CliWorld, options: FollowOptions = {}): Promise<Following> {
  const progress = newProgress()
  const { colours } = voice
  const pane = voice.isLive ? livePane(world.stdout, (columns, rows) => treeLines(progress, { columns, rows, nowWallMs: Date.now(), colours })) : undefined
  const say = (line: string): void => (pane === undefined ? voice.say(line) : pane.print(line))
  options.onScreen?.(say)
  const roaming = client.roam(sayMoved(say))
  let isLost = false
  let state: MissionState | undefined
  try {
    for await (const news of client.watch(id, options.signal === undefined ? {} : { signal: options.signal })) {
      if (news.type === 'event') {
        const indexed: IndexedEvent = { index: news.index, event: news.event }
        if (!applyEvent(progress, indexed, Date.now())) continue
        if (pane === undefined) {
          const line = plainLine(progress, news.event)
          if (line !== undefined) voice.say(line)
        }
        options.onEvent?.(indexed, progress)
      } else if (news.type === 'progress') {
        applyNote(progress, news.note)
        options.onNote?.(news.note, progress)
      } else if (news.type === 'reset') {
        resetProgress(progress, news.mission, news.tasks)
        if (pane === undefined) voice.say(`the events up to ${news.index} are not kept any more; the mission is ${news.mission.state}`)
      } else if (news.type === 'end') {
        state = news.state
      } else if (!isLost) {
        say(`${news.reason}; connecting again`)
      }
      isLost = news.type === 'reconnecting'
      pane?.refresh()
    }
  } catch (thrown) {
    if (options.signal?.aborted !== true) throw thrown
  } finally {
    roaming.close()
    pane?.finish()
  }
  return state === undefined ? { progress } : { progress, state }
}

/** One line about each move to another bridge. */
export function sayMoved(say: (line: string) => void): OnMoved {
  return (from, to, name) => say(`nothing answers at ${from} any more; going on at ${to} (${printable(name)})`)
}

/** Ctrl-C and a termination become an abort instead of the end of the program. */
export function detachable(): { readonly signal: AbortSignal; close(): void } {
  const controller = new AbortController()
  const onSignal = (): void => controller.abort()
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    close() {
      process.removeListener('SIGINT', onSignal)
      process.removeListener('SIGTERM', onSignal)
    },
  }
}
