/**
 * Hono's router for the bridge's table: a path is looked up by its method and its number of segments. Of Hono's own, the fast one
 * cannot take a parameter beside a fixed name (`/v1/nodes/{peerId}/logs`, `/v1/nodes/events`), and the others look at every route.
 */
import type { Result, Router } from 'hono/router'

interface Entry<Handler> {
  readonly handler: Handler
  /** In the order of their adding, which is the order of their calls. */
  readonly number: number
  /** A segment, or a parameter's name after a colon. */
  readonly segments: readonly string[]
}

const anyPath = '/*'
const everyMethod = 'ALL'

/** Takes what the bridge says to Hono: middleware for every path, and routes of fixed segments and `:parameters`. */
export function createTableRouter<Handler>(): Router<Handler> {
  const everywhere: Entry<Handler>[] = []
  const routes = new Map<string, Entry<Handler>[]>()
  let count = 0

  return {
    name: 'TableRouter',
    add(method, path, handler) {
      const entry = { handler, number: count++, segments: path.split('/') }
      if (method === everyMethod && (path === anyPath || path === '*')) return void everywhere.push(entry)
      if (method === everyMethod || path.includes('*')) throw new Error(`the bridge's router does not know ${method} ${path}`)
      const key = `${method} ${entry.segments.length}`
      const list = routes.get(key)
      if (list === undefined) routes.set(key, [entry])
      else list.push(entry)
    },
    match(method, path): Result<Handler> {
      const segments = path.split('/')
      const found: [Handler, Record<string, string>, number][] = everywhere.map(({ handler, number }) => [handler, {}, number])
      for (const { handler, number, segments: named } of routes.get(`${method} ${segments.length}`) ?? []) {
        const params = paramsOf(named, segments)
        if (params !== undefined) found.push([handler, params, number])
      }
      found.sort(([, , left], [, , right]) => left - right)
      return [found.map(([handler, params]) => [handler, params])]
    },
  }
}

/** @returns the parameters of a path that is of this form. A parameter is not empty. */
function paramsOf(named: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {}
  for (const [i, name] of named.entries()) {
    const segment = segments[i] as string
    if (!name.startsWith(':')) {
      if (name !== segment) return undefined
    } else if (segment === '') return undefined
    else params[name.slice(1)] = segment
  }
  return params
}
