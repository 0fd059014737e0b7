/** The skills of the benchmark, written as a person would write them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import builtIn from '../../../node/skills/built-in.ts'

/**
 * `bench.noop` on the node's loop, `bench.noop.thread` in a thread, `bench.wait` in a thread for `ms`; `bench.split` is a composite that
 * plans as many children as it is told. All answer with the length of their text.
 *
 * @returns the flags that load them.
 */
export function taskSkills(folder: string): string[] {
  const leaf = (capability: string, more: string, run: string): string => `defineSkill({
    capability: '${capability}', version: '1.0', summary: 'for measuring', effects: 'none', ${more}
    input: z.object({ text: z.string(), ms: z.number().optional() }), output: z.number(),
    run: ${run},
  })`
  const file = join(folder, 'bench.skill.ts')
  writeFileSync(file, `import { defineSkill, z } from 'skein/skill'
export default [
  ${leaf('bench.noop', 'inline: true,', '({ text }) => text.length')},
  ${leaf('bench.noop.thread', '', '({ text }) => text.length')},
  ${leaf('bench.wait', '', '({ text, ms }) => new Promise((resolve) => setTimeout(() => resolve(text.length), ms))')},
  defineSkill({
    capability: 'bench.split', version: '1.0', summary: 'plans equal children', effects: 'none',
    input: z.object({ children: z.number(), capability: z.string(), text: z.string() }), output: z.array(z.number()),
    plan: ({ children, capability, text }) => ({ tasks: Object.fromEntries(Array.from({ length: children }, (_, index) => [\`task-\${index + 1}\`, { capability, input: { text } }])) }),
    synthesise: ({ children }) => children.map(({ output }) => output),
  }),
]
`)
  return ['--skill', file]
}

/** Of a worker that loads `taskSkills` and nothing else. */
export const capabilitiesLeast = builtIn.length + 4

/** Skills that nobody asks for. @returns the flags that load them. */
export function extraSkills(folder: string, count: number): string[] {
  if (count <= 0) return []
  const file = join(folder, 'extra.skill.ts')
  writeFileSync(file, `import { defineSkill, z } from 'skein/skill'
export default Array.from({ length: ${count} }, (_, index) => defineSkill({
  capability: \`bench.extra\${index + 1}\`, version: '1.0', summary: 'idle', effects: 'none', input: z.object({}), output: z.number(), run: () => 0,
}))
`)
  return ['--skill', file]
}
