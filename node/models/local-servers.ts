/** Model servers that run on this machine without anybody having told the node: noticed, so that they can be offered to the person; never used unasked. */
import { z } from 'zod'

export interface ServerKind {
  readonly name: string
  /** Where it listens unless told otherwise. */
  readonly url: string
}

export const wellKnownServers: readonly ServerKind[] = [
  { name: 'Ollama', url: 'http://127.0.0.1:11434/v1' },
  { name: 'LM Studio', url: 'http://127.0.0.1:1234/v1' },
]

export interface FoundServer extends ServerKind {
  /** How many it has. */
  readonly models: number
}

/** On loopback a server that runs answers at once. */
const patienceMs = 300

const ModelList = z.object({ data: z.array(z.unknown()).nullable() })

/** @param known addresses that are used already. @returns those that answer as such servers do; nothing is thrown. */
export async function findLocalServers(known: readonly string[], servers: readonly ServerKind[] = wellKnownServers): Promise<FoundServer[]> {
  const places = new Set(known.map(placeOf))
  const found = await Promise.all(servers.filter(({ url }) => !places.has(placeOf(url))).map(look))
  return found.filter((server) => server !== undefined)
}

async function look(server: ServerKind): Promise<FoundServer | undefined> {
  try {
    const answer = await fetch(`${server.url}/models`, { signal: AbortSignal.timeout(patienceMs), redirect: 'error' })
    const { data } = ModelList.parse(await answer.json())
    return answer.ok ? { ...server, models: data?.length ?? 0 } : undefined
  } catch {
    return undefined
  }
}

/** One machine has several names for itself. */
function placeOf(url: string): string {
  if (!URL.canParse(url)) return url
  const { hostname, port } = new URL(url)
  return `${/^(localhost|127\.|\[::1\]|0\.0\.0\.0)/.test(hostname) ? 'here' : hostname}:${port}`
}

/** One sentence and what to do, for people. */
export function offerLine({ name, url, models }: FoundServer): { readonly detail: string; readonly next: string } {
  return { detail: `${name} is running here with ${models} model${models === 1 ? '' : 's'}, and this node does not use it`, next: `to use it: skein node start --llm-url ${url}` }
}
