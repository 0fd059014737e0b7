/** Writes a first version of a skill: `skein skill new NAME`. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { CapabilityName } from '../../protocols/kernel/ids.ts'

/**
 * @param capability `text.shout`; the file is `text.shout.skill.ts` in `folder`.
 * @returns the path written and the command that tries it.
 * @throws MeshError `bad-request` for a bad name or a file that exists.
 */
export async function scaffoldSkill(capability: string, folder: string): Promise<{ path: string; tryIt: string }> {
  const name = CapabilityName.safeParse(capability)
  if (!name.success) throw new MeshError('bad-request', `"${capability}" is not a capability name`, { next: 'use lower-case words joined by dots, like text.shout' })
  const path = join(resolve(folder), `${name.data}.skill.ts`)
  try {
    await mkdir(resolve(folder), { recursive: true })
    await writeFile(path, skillText(name.data), { flag: 'wx' })
  } catch (thrown) {
    const exists = thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST'
    throw new MeshError('bad-request', exists ? `${path} exists` : `${path} cannot be written: ${String(thrown)}`, { next: 'choose another name or --dir' })
  }
  return { path, tryIt: `skein skill test ${path} --input text=geese` }
}

function skillText(capability: string): string {
  return `import { defineSkill, z } from 'skein/skill'

// Offer it: skein start --skill ./${capability}.skill.ts --watch
// Use it:   skein run ${capability} --input text="hello geese"
export default defineSkill({
  capability: '${capability}',
  // major.minor of the two schemas together: add to them and raise the minor, change them and raise the major.
  version: '1.0',
  summary: 'turns a text to upper case',
  // 'external' when a run changes something outside of the task (sends, pays, deletes).
  effects: 'none',
  limits: { timeMs: 60_000, memoryBytes: 256 * 1024 * 1024 },
  input: z.object({ text: z.string() }),
  output: z.object({ text: z.string(), characters: z.number().int() }),
  async run({ text }, context) {
    context.progress(0.5, 'half way')
    // Long work goes on where it was lost: publish what the next attempt needs, and begin with what the last one left.
    //   const done = context.resumed ?? 0
    //   await context.checkpoint(done + 1)
    return { text: text.toUpperCase(), characters: text.length }
  },
})
`
}
