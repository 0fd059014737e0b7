/** The bridge about itself: health, metrics, its description, a page to start from. */
import { z } from 'zod'
import { jsonAnswer } from '../answer.ts'
import { describeRoutes } from '../openapi.ts'
import type { BridgeParts } from '../parts.ts'
import { defineRoute } from '../route-table.ts'
import type { Route } from '../route-table.ts'

const tag = 'service'
const pageHeaders = { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': 'default-src \'none\'; style-src \'unsafe-inline\'; frame-ancestors \'none\'', 'x-content-type-options': 'nosniff' }

export const Health = z.object({ ok: z.literal(true), version: z.string() })
export const Readiness = z.object({ ready: z.boolean(), reasons: z.array(z.string()) })

/** @param allRoutes the whole table, these routes included, once it is complete. */
export function serviceRoutes({ mesh, metrics, version }: BridgeParts, allRoutes: () => readonly Route[]): Route[] {
  let description: object | undefined
  return [
    defineRoute({
      method: 'GET', path: '/healthz', summary: 'Is the process alive?', tag, open: true,
      answers: [{ status: 200, description: 'It is.', schema: Health }],
      faults: [],
      serve: ({ c }) => jsonAnswer(c, { ok: true, version }),
    }),
    defineRoute({
      method: 'GET', path: '/readyz', summary: 'Does the node take work?', tag,
      answers: [
        { status: 200, description: 'It does.', schema: Readiness },
        { status: 503, description: 'It is starting, draining or stalled; `reasons` say why.', schema: Readiness },
      ],
      faults: [],
      serve({ c }) {
        const { ready, reasons } = mesh.readiness()
        return jsonAnswer(c, { ready, reasons: [...reasons] }, ready ? 200 : 503)
      },
    }),
    defineRoute({
      method: 'GET', path: '/metrics', summary: 'Metrics for Prometheus.', tag,
      answers: [{ status: 200, description: 'The text exposition format.', mediaType: 'text/plain', schema: z.string() }],
      faults: [],
      serve: async ({ c }) => c.body(await metrics.text(), 200, { 'content-type': metrics.contentType }),
    }),
    defineRoute({
      method: 'GET', path: '/openapi.json', summary: 'This description.', tag,
      answers: [{ status: 200, description: 'OpenAPI 3.1.', schema: z.record(z.string(), z.unknown()) }],
      faults: [],
      serve: ({ c }) => jsonAnswer(c, description ??= describeRoutes(allRoutes(), version)),
    }),
    defineRoute({
      method: 'GET', path: '/', summary: 'A page with links.', tag,
      answers: [{ status: 200, description: 'HTML.', mediaType: 'text/html', schema: z.string() }],
      faults: [],
      serve: ({ c }) => c.body(frontPage(mesh.name, version), 200, pageHeaders),
    }),
  ]
}

function frontPage(nodeName: string, version: string): string {
  const links = ['/v1/missions', '/v1/nodes', '/v1/capabilities', '/v1/models', '/v1/queue', '/v1/dead', '/readyz', '/metrics', '/openapi.json']
  const name = nodeName.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`)
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Skein: ${name}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:36rem;padding:0 1rem}</style></head>
<body><h1>${name}</h1><p>A node of a Skein mesh, release ${version}. Submit a mission with <code>skein run</code> or <code>POST /v1/missions</code>.</p>
<ul>${links.map((link) => `<li><a href="${link}">${link}</a></li>`).join('')}</ul></body></html>
`
}
