/**
 * The bridge's routes as one table: it serves them, and `/openapi.json` is generated from it, so that the two cannot differ.
 */
import type { HttpBindings } from '@hono/node-server'
import type { Context, Hono } from 'hono'
import type { z } from 'zod'
import { fault } from '../../protocols/kernel/errors.ts'
import type { ErrorCode } from '../../protocols/kernel/errors.ts'
import type { Principal } from '../../protocols/kernel/ids.ts'
import { HttpFault } from './problem.ts'

export type BridgeEnv = { Bindings: HttpBindings; Variables: { principal: Principal; route: string } }
export type BridgeContext = Context<BridgeEnv>
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One successful answer of a route, as the description tells it. */
export interface AnswerSpec {
  readonly status: number
  readonly description: string
  /** Default `application/json`; ignored without a schema. */
  readonly mediaType?: string
  readonly schema?: z.ZodType
}

export interface BodySpec {
  readonly required: boolean
  /** Media type → what it must hold. */
  readonly content: Readonly<Record<string, z.ZodType>>
}

export interface HeaderSpec {
  readonly name: string
  readonly description: string
}

/** What a route is served with: its path and query parameters checked, its principal admitted. */
export interface Call<Params, Query> {
  readonly c: BridgeContext
  readonly params: Params
  readonly query: Query
  readonly principal: Principal
}

export interface RouteInit<Params extends z.ZodObject, Query extends z.ZodObject> {
  readonly method: Method
  /** `/v1/missions/{id}` */
  readonly path: string
  readonly summary: string
  readonly tag: string
  readonly params?: Params
  readonly query?: Query
  readonly headers?: readonly HeaderSpec[]
  readonly body?: BodySpec
  readonly answers: readonly AnswerSpec[]
  /** The codes of `errorCodes` that this route is known to answer with, beyond those every route may. */
  readonly faults: readonly ErrorCode[]
  /** Needs no token. */
  readonly open?: boolean
  /** Answers HEAD differently from GET without its body (a stream must not be started for nobody). */
  readonly serveHead?: (call: Call<z.infer<Params>, z.infer<Query>>) => Promise<Response> | Response
  readonly serve: (call: Call<z.infer<Params>, z.infer<Query>>) => Promise<Response> | Response
}

/** A route whose parameter types are checked at its definition and forgotten after it. */
export interface Route extends Omit<RouteInit<z.ZodObject, z.ZodObject>, 'serve' | 'serveHead'> {
  readonly hasHead: boolean
  serve(c: BridgeContext, principal: Principal): Promise<Response>
}

export function defineRoute<Params extends z.ZodObject = z.ZodObject, Query extends z.ZodObject = z.ZodObject>(init: RouteInit<Params, Query>): Route {
  return {
    ...init,
    hasHead: init.serveHead !== undefined,
    async serve(c, principal) {
      const params = checked(init.params, c.req.param(), 'path')
      const query = checked(init.query, queryOf(c), 'query')
      const call = { c, params, query, principal } as Call<z.infer<Params>, z.infer<Query>>
      return c.req.method === 'HEAD' && init.serveHead !== undefined ? init.serveHead(call) : init.serve(call)
    },
  }
}

function checked(schema: z.ZodType | undefined, value: unknown, where: string): unknown {
  if (schema === undefined) return {}
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new HttpFault(fault('bad-request', `the ${where} is not as this route takes it: ${issuesOf(parsed.error)}`, { next: 'see /openapi.json' }))
}

/** Every issue as `where: what`, at most 20 of them. */
export function issuesOf(error: z.ZodError, prefix = ''): string {
  const lines = error.issues.map((issue) => {
    const path = [...(prefix === '' ? [] : [prefix]), ...issue.path.map(String)].join('.')
    return path === '' ? issue.message : `${path}: ${issue.message}`
  })
  return lines.length <= 20 ? lines.join('; ') : `${lines.slice(0, 20).join('; ')}; and ${lines.length - 20} more`
}

/** Registers every route. HEAD is served by the route of GET. */
export function serveRoutes(app: Hono<BridgeEnv>, routes: readonly Route[]): void {
  for (const route of routes) {
    app.on(route.method, honoPath(route.path), (c) => {
      c.set('route', route.path)
      return route.serve(c, c.get('principal'))
    })
  }
}

export function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1')
}

/** The methods with which the table serves a path; empty: no such path. */
export function methodsOf(routes: readonly Route[], path: string): string[] {
  const methods = new Set<string>()
  for (const route of routes) {
    if (!pathForm(route.path).test(path)) continue
    methods.add(route.method)
    if (route.method === 'GET') methods.add('HEAD')
  }
  return [...methods]
}

const pathForms = new Map<string, RegExp>()
function pathForm(path: string): RegExp {
  let form = pathForms.get(path)
  if (form === undefined) {
    form = new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[^/]+')}$`)
    pathForms.set(path, form)
  }
  return form
}

/** The route that a request will be served by, before it is: for what must be known first (is it open?). */
export function findRoute(routes: readonly Route[], method: string, path: string): Route | undefined {
  const asked = method === 'HEAD' ? 'GET' : method
  return routes.find((route) => route.method === asked && pathForm(route.path).test(path))
}

/** A parameter given twice is one value with a comma: a list where lists are taken, an error elsewhere. */
function queryOf(c: BridgeContext): Record<string, string> {
  return Object.fromEntries(Object.entries(c.req.queries()).map(([name, values]) => [name, values.join(',')]))
}
