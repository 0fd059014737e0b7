/** Builds and tests a TypeScript module in one configuration, and renders the table of all of them. Used by `build-matrix.yaml`. */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { defineSkill, z } from 'skein/skill'
import type { BlobRef } from 'skein/skill'

const File = z.object({ $blob: z.string(), sizeBytes: z.number(), name: z.string().optional() }).loose()

const BuildResult = z.object({
  module: z.string(),
  target: z.string(),
  env: z.string(),
  ok: z.boolean(),
  tests: z.object({ passed: z.number().int(), failed: z.number().int() }),
  builtBytes: z.number().int(),
  runtime: z.string(),
  /** The built file. */
  built: File,
  /** The end of the test output, when a test failed. */
  output: z.string().optional(),
})

export const build = defineSkill({
  capability: 'matrix.build',
  version: '1.0',
  summary: 'compiles a TypeScript module and runs its tests in one configuration',
  effects: 'none',
  limits: { timeMs: 120_000, memoryBytes: 256 * 1024 * 1024 },
  input: z.object({
    module: z.string().regex(/^[a-z-]+$/, 'is a plain module name'),
    source: File,
    test: File,
    /** strip: types become spaces, so lines stay where they are; transform: smaller, and more of TypeScript is understood. */
    target: z.enum(['strip', 'transform']),
    /** NODE_ENV of the test run. */
    env: z.enum(['development', 'production']),
  }),
  output: BuildResult,
  async run({ module, source, test, target, env }, context) {
    const folder = await context.workFolder()
    const read = async (file: typeof source): Promise<string> => new TextDecoder().decode(await context.blobs.read(file as BlobRef))

    context.progress(0.1, 'compiling')
    const built = stripTypeScriptTypes(await read(source), { mode: target })
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await writeFile(join(folder, `${module}.js`), built)
    await writeFile(join(folder, `${module}.test.js`), await read(test))

    context.progress(0.5, 'testing')
    const { code, output } = await runNode(['--test', '--test-reporter=tap', `${module}.test.js`], folder, env)
    const counted = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)`, 'm').exec(output)?.[1] ?? 0)
    return {
      module, target, env,
      ok: code === 0,
      tests: { passed: counted('pass'), failed: counted('fail') },
      builtBytes: Buffer.byteLength(built),
      runtime: `Node ${process.versions.node} on ${process.platform}-${process.arch}`,
      built: await context.blobs.write(built, { name: `${module}.${target}.js`, mediaType: 'text/javascript' }),
      ...(code === 0 ? {} : { output: output.slice(-2_000) }),
    }
  },
})

function runNode(args: string[], cwd: string, env: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env: { ...process.env, NODE_ENV: env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

export const table = defineSkill({
  capability: 'matrix.table',
  version: '1.0',
  summary: 'renders the results of a build matrix as a Markdown table',
  effects: 'none',
  input: z.object({ builds: z.array(BuildResult) }),
  output: z.object({ ok: z.boolean(), markdown: z.string() }),
  run({ builds }) {
    const rows = builds.map(({ module, target, env, ok, tests, builtBytes, runtime }) =>
      `| ${module} | ${target} | ${env} | ${ok ? 'passed' : 'FAILED'} | ${tests.passed} of ${tests.passed + tests.failed} | ${builtBytes} B | ${runtime} |`)
    return {
      ok: builds.every((one) => one.ok),
      markdown: ['| module | target | NODE_ENV | build | tests | size | on |', '|---|---|---|---|---|---|---|', ...rows, ''].join('\n'),
    }
  },
})

export default [build, table]
