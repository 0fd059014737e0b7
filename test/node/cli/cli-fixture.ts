import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { CliWorld } from '../../../node/cli/context.ts'
import { main } from '../../../node/cli/main.ts'

export const bin = fileURLToPath(new URL('../../../bin/skein.js', import.meta.url))

export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command in this process, in a world of its own. */
export async function say(argv: readonly string[], world: Partial<CliWorld> = {}): Promise<Said> {
  let out = ''
  let err = ''
  const code = await main(argv, {
    stdin: new PassThrough(), env: {}, cwd: '/', bin,
    stdout: { write: (text) => { out += text } },
    stderr: { write: (text) => { err += text } },
    ...world,
  })
  return { code, out, err }
}
