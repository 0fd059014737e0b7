/** Which bridge a command talks to. */
import { loadConfig } from '../config.ts'
import { type MeshClient, createMeshClient } from '../http/client.ts'
import type { TalkFlags } from './cli.ts'
import { type CliWorld, usageError } from './context.ts'
import { type RunFile, readRunFile } from './run-file.ts'

export interface Connection {
  readonly client: MeshClient
  readonly url: string
  /** What to type to reach the same mesh again; empty when it is this machine's node. */
  readonly urlFlag: string
  /** This machine's node, when it runs. */
  readonly run?: RunFile
}

const fallbackUrl = 'http://127.0.0.1:7420'

/**
 * `--url`, else `SKEIN_URL`, else the node of this machine by its data directory, else the default port.
 *
 * @throws MeshError `bad-request` for a url that is none.
 */
export async function connect(flags: TalkFlags, world: CliWorld): Promise<Connection> {
  const asked = flags.url ?? (world.env['SKEIN_URL'] === '' ? undefined : world.env['SKEIN_URL'])
  const token = flags.token ?? world.env['SKEIN_TOKEN']
  if (asked !== undefined) {
    if (!URL.canParse(asked) || !/^https?:$/.test(new URL(asked).protocol)) {
      throw usageError(`"${asked}" is not the url of a bridge`, 'give it like http://127.0.0.1:7420')
    }
    return { client: createMeshClient(asked, token === undefined ? {} : { token }), url: asked, urlFlag: flags.url === undefined ? '' : ` --url ${asked}` }
  }
  const run = await readRunFile(await dataDirOf(flags, world))
  const url = run?.http ?? fallbackUrl
  const known = token ?? run?.token
  return {
    client: createMeshClient(url, known === undefined ? {} : { token: known }),
    url,
    urlFlag: flags.data === undefined ? '' : ` --data ${flags.data}`,
    ...(run === undefined ? {} : { run }),
  }
}

export async function dataDirOf(flags: { readonly data?: string }, world: CliWorld): Promise<string> {
  return (await loadConfig({ flags: { data: flags.data }, env: world.env, cwd: world.cwd })).config.data
}
