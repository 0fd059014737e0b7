/** Routes whose names are fixed and whose substance comes in a later release: each says so in one sentence. */
import { z } from 'zod'
import { fault } from '../../../protocols/kernel/errors.ts'
import { MissionId } from '../../../protocols/kernel/ids.ts'
import { HttpFault } from '../problem.ts'
import { defineRoute } from '../route-table.ts'
import type { Method, Route } from '../route-table.ts'

const missionParams = z.object({ id: MissionId })

const later: readonly (readonly [method: Method, path: string, what: string, params?: z.ZodObject])[] = [
  ['POST', '/v1/missions/{id}/messages', 'talking to a running mission', missionParams],
  ['POST', '/v1/quotes', 'asking for quotes'],
  ['POST', '/v1/completions', 'text completions'],
  ['POST', '/v1/responses', 'the responses API'],
]

export function laterRoutes(): Route[] {
  return later.map(([method, path, what, params]) => defineRoute({
    method,
    path,
    summary: `${what.charAt(0).toUpperCase()}${what.slice(1)} (not in this release).`,
    tag: 'later',
    ...(params === undefined ? {} : { params }),
    answers: [],
    faults: ['not-available'],
    serve() {
      throw new HttpFault(fault('not-available', `${what} is not in this release of Skein`, { next: 'see /openapi.json for what is' }))
    },
  }))
}
