import picocolors from 'picocolors'
import { describe, expect, it } from 'vitest'
import { fit, pad, printable, seconds, size, width } from '../../../node/cli/view/format.ts'
import { livePane } from '../../../node/cli/view/live-pane.ts'
import { type MissionProgress, applyEvent, applyNote, hasEnded, leafCounts, newProgress, stateOf, tallies } from '../../../node/cli/view/mission-progress.ts'
import { plainLine } from '../../../node/cli/view/plain-lines.ts'
import { table } from '../../../node/cli/view/table.ts'
import { treeLines } from '../../../node/cli/view/tree-lines.ts'
import { whyLines } from '../../../node/cli/view/why-lines.ts'
import { TaskId } from '../../../protocols/kernel/ids.ts'
import type { MissionEvent } from '../../../protocols/tasking/schema.ts'
import { awardOf, goodStory, peers, storyId, storyStartWallMs, tell } from './mission-story.ts'

const plain = picocolors.createColors(false)

function seen(events: readonly MissionEvent[]): MissionProgress {
  const progress = newProgress()
  // The watcher's clock is that of the owner here: events arrive when they happen.
  events.forEach((event, index) => applyEvent(progress, { index: index + 1, event }, event.atWallMs))
  return progress
}

function tree(progress: MissionProgress, atMs: number, columns = 110, rows = 40): string[] {
  return treeLines(progress, { columns, rows, nowWallMs: storyStartWallMs + atMs, colours: plain })
}

describe('the fold', () => {
  it('folds each event once, whatever is sent again', () => {
    const progress = newProgress()
    const [first, second] = goodStory()
    if (first === undefined || second === undefined) throw new Error('a story has events')
    expect(applyEvent(progress, { index: 1, event: first }, 0)).toBe(true)
    expect(applyEvent(progress, { index: 1, event: first }, 0)).toBe(false)
    expect(applyEvent(progress, { index: 2, event: second }, 0)).toBe(true)
    expect(applyEvent(progress, { index: 1, event: first }, 0)).toBe(false)
  })

  it('counts leaves and what each node did', () => {
    const progress = seen(goodStory())
    expect(hasEnded(progress)).toBe(true)
    expect(leafCounts(progress)).toEqual({ leaves: 3, done: 3, running: 0, dead: 0 })
    expect(progress.repeated).toBe(0)
    const byPeer = tallies(progress)
    expect(byPeer.get(peers.c)).toMatchObject({ name: 'node-c', leavesRun: 2, busyMs: 1_410, bidsMade: 4, bidsWon: 2, lost: 0 })
    expect(byPeer.get(peers.b)).toMatchObject({ leavesRun: 0, bidsMade: 1, bidsWon: 1, lost: 1 })
    expect(byPeer.get(peers.a)).toMatchObject({ leavesRun: 1, bidsMade: 5, bidsWon: 2 })
  })

  it('would notice a finished task that is awarded again', () => {
    expect(seen([...goodStory().slice(0, 6), tell.awarded(950, 'root/two', 2, 'a', { a: 1 })]).repeated).toBe(1)
  })

  it('takes from notes what no log keeps', () => {
    const progress = seen(goodStory().slice(0, 4))
    const [one, two] = ['root/one', 'root/two'].map((id) => TaskId.parse(id))
    if (one === undefined || two === undefined) throw new Error('two tasks')
    const state = (id: TaskId): string => {
      const task = progress.fold?.tasks.get(id)
      return task === undefined ? 'unknown' : stateOf(progress, task)
    }
    applyNote(progress, { taskId: two, note: 'announced' })
    applyNote(progress, { taskId: one, note: 'progress', fraction: 0.5, text: 'half \u001b[2Jway' })
    expect([state(one), state(two)]).toEqual(['running', 'announced'])
    expect(tree(progress, 700).find((line) => line.includes('◐ one'))).toContain('50 % half [2Jway')
    applyEvent(progress, { index: 5, event: tell.lost(800, 'root/one', 1, 'b') }, 0)
    expect(state(one)).toBe('pending')
  })
})

describe('the tree', () => {
  it('shows a mission under way', () => {
    expect(tree(seen(goodStory().slice(0, 7)), 1_050)).toMatchInlineSnapshot(`
      [
        "◐ report on geese · running · 1.1 s · 1 of 3 leaves done · m-abcdefgh-000000000000",
        "◔ report on geese  repo.report   node-a  1.0 s  1 bid: node-a 0.9 s · earliest finish",
        "├─ ○ one           repo.measure                 node-b lost after 0.8 s · to be awarded again",
        "├─ ✓ two           repo.measure  node-c  0.7 s  2 bids: node-c 0.7 s, node-a 1.3 s · earliest finish",
        "└─ ○ last          repo.measure                 after one",
      ]
    `)
  })

  it('shows who took over', () => {
    expect(tree(seen(goodStory().slice(0, 8)), 1_400)[2]).toMatchInlineSnapshot(`"├─ ◔ one           repo.measure  node-c  0.3 s  node-b lost after 0.8 s · 2 bids: node-c 0.8 s, node-a 1.2 s …"`)
  })

  it('shows the end', () => {
    expect(tree(seen(goodStory()), 60_000)[0]).toBe('✓ report on geese · completed · 2.1 s · 3 of 3 leaves done · m-abcdefgh-000000000000')
    const failed = tree(seen([...goodStory().slice(0, 6), tell.dead(1_500, 'root/one'), tell.failed(1_600)]), 9_000)
    expect(failed[0]).toContain('✗ report on geese · failed · 1.6 s')
    expect(failed.find((line) => line.includes('✗ one'))).toContain('it [31mhonked')
    // eslint-disable-next-line no-control-regex -- these are what must not be there
    expect(failed.join('')).not.toMatch(/[\u0000-\u001f]/)
  })

  it('folds what is finished, then what waits, and never exceeds the terminal', () => {
    const names = Array.from({ length: 60 }, (_, index) => `part-${index}`)
    const many = [tell.submitted(), tell.planned(10, ...names)]
    names.slice(0, 20).forEach((name, index) => many.push(tell.awarded(20 + index, `root/${name}`, 1, 'b', { b: 5 }), tell.accepted(50 + index, `root/${name}`, 1, 'b', 30)))
    many.push(tell.awarded(90, 'root/part-20', 1, 'c', { c: 5 }))
    const lines = tree(seen(many), 100, 80, 10)
    expect(lines).toHaveLength(5)
    expect(lines[2]).toMatch(/├─ ◔ part-20/)
    expect(lines[3]).toMatch(/├─ ✓ 20 finished tasks .* part-0, part-1/)
    expect(lines[4]).toMatch(/└─ ○ 39 waiting tasks/)
    for (const [columns, rows] of [[20, 4], [40, 6], [80, 12], [200, 100]] as const) {
      const drawn = tree(seen(many), 100, columns, rows)
      expect(drawn.length).toBeLessThanOrEqual(rows)
      for (const line of drawn) expect(width(line)).toBeLessThanOrEqual(columns)
    }
  })

  it('says so when nothing has come yet', () => {
    expect(tree(newProgress(), 0)).toEqual(["○ waiting for the mission's first event"])
  })

  it('keeps colours out of the widths', () => {
    const progress = seen(goodStory().slice(0, 7))
    const coloured = treeLines(progress, { columns: 110, rows: 40, nowWallMs: storyStartWallMs + 1_050, colours: picocolors.createColors(true) })
    // eslint-disable-next-line no-control-regex -- colours are what is taken away
    expect(coloured.map((line) => line.replace(/\u001b\[[0-9;]*m/g, ''))).toEqual(tree(progress, 1_050))
  })
})

it('tells the story in plain lines', () => {
  const progress = newProgress()
  const lines = goodStory().map((event, index) => {
    applyEvent(progress, { index: index + 1, event }, event.atWallMs)
    return plainLine(progress, event)
  })
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "   0.0 s  submitted  report on geese  m-abcdefgh-000000000000  priority 5
       0.1 s  awarded    root → node-a  1 bid: node-a 0.9 s · earliest finish
       0.1 s  planned    root: 3 tasks
       0.2 s  awarded    root/one → node-b  3 bids: node-b 0.8 s, node-c 0.9 s · earliest finish
       0.2 s  awarded    root/two → node-c  2 bids: node-c 0.7 s, node-a 1.3 s · earliest finish
       0.9 s  accepted   root/two from node-c  0.7 s
       1.0 s  lost       root/one by node-b: the connection to node-b was lost
       1.1 s  awarded    root/one → node-c (attempt 2)  2 bids: node-c 0.8 s, node-a 1.2 s · earliest finish
       1.9 s  accepted   root/one from node-c  0.8 s
       1.9 s  awarded    root/last → node-a  2 bids: node-a 0.1 s, node-c 0.3 s · earliest finish
       2.0 s  accepted   root/last from node-a  0.1 s
       2.1 s  accepted   root from node-a  2.0 s
       2.1 s  completed"
  `)
})

it('explains awards and open calls', () => {
  const { worker, workerName, bid, bids, awardId, attempt } = awardOf('root/one', 1, 'b', { b: 800, c: 900 })
  const refusal = { peer: peers.a, name: 'node-a', reason: 'no-free-slot' as const, detail: '2 of 2 busy', retryable: true }
  const lines = whyLines({
    id: storyId,
    tasks: [{
      id: TaskId.parse('root/one'), capability: 'repo.measure', state: 'announced',
      attempts: [{ awardId, attempt, worker, workerName, awardedAtWallMs: 0, endedAtWallMs: 500, outcome: 'lost', bid, bids, refusals: [refusal], why: 'earliest finish' }],
      open: { bids: [], refusals: [refusal], announcements: 2, reason: 'nobody has a free slot' },
    }],
  }, plain, 200)
  expect(lines[1]).toBe('  attempt 1: node-b lost after 0.5 s · earliest finish')
  expect(lines.find((line) => line.includes('▸'))).toContain('node-b')
  expect(lines.filter((line) => line.includes('node-a refused: no-free-slot, 2 of 2 busy'))).toHaveLength(2)
  expect(lines.find((line) => line.includes('open:'))).toContain('nobody has a free slot · announced 2 times')
})

describe('pieces of text', () => {
  it('formats lengths of time and sizes', () => {
    expect([0, 90, 3_240, 59_949, 59_999, 125_000, 4_800_000].map(seconds)).toEqual(['0.0 s', '0.1 s', '3.2 s', '59.9 s', '1 min 00 s', '2 min 05 s', '1 h 20 min'])
    expect([0, 1_023, 32_768, 5 * 1024 ** 3].map(size)).toEqual(['0 B', '1023 B', '32.0 KiB', '5.0 GiB'])
  })

  it('cuts by columns, colours aside', () => {
    expect(fit('honking', 4)).toBe('hon…')
    expect(fit('\u001b[31mhonking\u001b[39m', 4)).toBe('\u001b[31mhon…\u001b[0m')
    expect(fit('雁が鳴く', 5)).toBe('雁が…')
    expect(width('雁 \u001b[1mx\u001b[22m')).toBe(4)
    expect(pad('é', 3)).toBe('é  ')
  })

  it('lets no foreign text steer the terminal', () => {
    expect(printable('a\u001b[2J\u0007b\r\u202ec\nd\te')).toBe('a[2Jbc\nd\te')
  })

  it('lines columns up', () => {
    expect(table([['A', 'B'], ['long', 'x'], ['s', 'yy']], 8)).toEqual(['A     B', 'long  x', 's     yy'])
  })
})

it('redraws a pane in place, lasting lines above it, and leaves it standing', async () => {
  const written: string[] = []
  let text = 'one'
  const pane = livePane({ write: (chunk) => written.push(chunk), columns: 40, rows: 10 }, (columns, rows) => [`${text} ${columns} ${rows}`])
  pane.refresh()
  pane.refresh()
  await expect.poll(() => written.length).toBeGreaterThan(0)
  text = 'two'
  pane.print('lasting')
  pane.finish()
  pane.finish()
  const all = written.join('')
  expect(all).toContain('one 39 8\n')
  expect(all).toContain('\u001b[1A\r\u001b[0Jlasting\ntwo 39 8\n')
  expect(all.endsWith('two 39 50\n\u001b[?25h\u001b[?2026l')).toBe(true)
})
