import { describe, expect, it } from 'vitest'
import { effortOf, shapeOf, splitFiles } from '../../../../node/skills/repo-report/split.ts'
import type { SliceFile } from '../../../../node/skills/repo-report/schema.ts'
import { seededRandom } from '../../../../protocols/kernel/prng.ts'

function files(sizes: readonly number[], packBytes = 100_000): SliceFile[] {
  let pack = 0
  let offset = 0
  return sizes.map((sizeBytes, index) => {
    if (offset > 0 && offset + sizeBytes > packBytes) {
      pack++
      offset = 0
    }
    const file = { path: `f${String(index).padStart(6, '0')}`, sizeBytes, pack, offset }
    offset += sizeBytes
    return file
  })
}

describe('splitFiles', () => {
  it('puts every file into exactly one part, whatever the sizes', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom([seed, 7])
      const all = files(Array.from({ length: random.below(300) + 1 }, () => (random.below(10) === 0 ? random.below(2_000_000) : random.below(20_000))))
      const wanted = random.below(30) + 1
      const parts = splitFiles(all, wanted)
      expect(parts.length, `seed ${seed}`).toBe(Math.min(wanted, all.length))
      const back = parts.flatMap((part) => part.files.map((file) => ({ ...file, pack: part.packs[file.pack] })))
      expect(back, `seed ${seed}`).toEqual(all)
      const largest = Math.max(...all.map(effortOf))
      const fair = all.reduce((sum, file) => sum + effortOf(file), 0) / parts.length
      for (const part of parts) expect(part.effort, `seed ${seed}`).toBeLessThanOrEqual(fair + 2 * largest)
    }
  })

  it('needs few packs in each part', () => {
    const parts = splitFiles(files(Array.from({ length: 1_000 }, () => 2_000)), 10)
    expect(parts.reduce((sum, part) => sum + part.packs.length, 0)).toBeLessThanOrEqual(20 + 10)
  })

  it('gives nothing for nothing', () => {
    expect(splitFiles([], 8)).toEqual([])
  })
})

describe('shapeOf', () => {
  it('makes at least eight leaves where there are files for them', () => {
    expect(shapeOf(190, 200_000, 28, 3)).toMatchObject({ sections: 0, leaves: 8 })
    expect(shapeOf(3, 200_000, 28, 3)).toMatchObject({ sections: 0, leaves: 3 })
  })

  it('splits a large tree into sections, and stays within the limits', () => {
    for (const [count, sizeBytes] of [[5_000, 1e6], [100, 30e6], [200_000, 5e9]] as const) {
      for (let leavesLeft = 1; leavesLeft <= 60; leavesLeft++) {
        const shape = shapeOf(count, sizeBytes, leavesLeft, 3)
        expect(shape.leaves + shape.sections).toBeLessThanOrEqual(leavesLeft)
        expect(shape.leaves).toBeGreaterThanOrEqual(1)
      }
      expect(shapeOf(count, sizeBytes, 28, 3).sections).toBeGreaterThanOrEqual(2)
      expect(shapeOf(count, sizeBytes, 28, 1).sections).toBe(0)
    }
  })
})
