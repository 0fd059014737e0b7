import { z } from 'zod'
import { CapabilityView, NodeView } from '../../../protocols/capability/views.ts'
import { fault, toFault } from '../../../protocols/kernel/errors.ts'
import { PeerId } from '../../../protocols/kernel/ids.ts'
import { QueueView } from '../../../protocols/tasking/views.ts'
import { LogLine } from '../../telemetry/log-line.ts'
import { jsonAnswer } from '../answer.ts'
import type { BridgeParts } from '../parts.ts'
import { HttpFault, problemOf } from '../problem.ts'
import { defineRoute } from '../route-table.ts'
import type { Route } from '../route-table.ts'

const tag = 'nodes'
const params = z.object({ peerId: PeerId })
const nodeFaults = ['owner-unreachable', 'timeout'] as const

export function nodeRoutes({ mesh, streams }: BridgeParts): Route[] {
  return [
    defineRoute({
      method: 'GET', path: '/v1/nodes', summary: 'The nodes of the mesh, this one included.', tag,
      answers: [{ status: 200, description: 'Every node that this one knows.', schema: z.array(NodeView) }],
      faults: [],
      serve: async ({ c }) => jsonAnswer(c, await mesh.nodes()),
    }),
    defineRoute({
      method: 'GET', path: '/v1/nodes/events', summary: 'Follow the list of nodes: a `nodes` event with the whole list now and after each change.', tag,
      answers: [{ status: 200, description: 'Server-sent events; `data` is an array of NodeView.', mediaType: 'text/event-stream', schema: z.string() }],
      faults: ['overloaded'],
      serveHead: ({ c }) => c.body(null, 200, { 'content-type': 'text/event-stream; charset=utf-8' }),
      serve({ c }) {
        const stream = streams.open(c)
        let dirty = false
        let busy = false
        const show = () => {
          dirty = true
          if (!busy) void tell()
        }
        // The newest list is enough: changes that come while a client is slow are told as one.
        const tell = async () => {
          busy = true
          dirty = false
          try {
            stream.send({ event: 'nodes', data: await mesh.nodes() })
          } catch (thrown) {
            stream.send({ event: 'fault', data: problemOf(toFault(thrown)) })
            stream.end()
            return
          }
          stream.onDrained(() => {
            busy = false
            if (dirty) void tell()
          })
        }
        stream.onClosed(mesh.watchNodes(show))
        show()
        return stream.response
      },
    }),
    defineRoute({
      method: 'GET', path: '/v1/nodes/{peerId}/logs', summary: 'A node\'s recent log lines, oldest first, secrets redacted.', tag, params,
      answers: [{ status: 200, description: 'The lines that the node still keeps.', schema: z.array(LogLine) }],
      faults: nodeFaults,
      async serve({ c, params: { peerId } }) {
        const lines = z.array(LogLine).safeParse(await mesh.askNode(peerId, 'logs'))
        if (!lines.success) throw new HttpFault(fault('internal', 'the node sent its log in a form that this bridge does not know', { next: 'run the same release of Skein on both nodes' }))
        return jsonAnswer(c, lines.data)
      },
    }),
    ...(['status', 'peers'] as const).map((about) => defineRoute({
      method: 'GET', path: `/v1/nodes/{peerId}/${about}`, tag, params,
      summary: about === 'status' ? 'What a node says about itself.' : 'Whom a node is connected to.',
      answers: [{ status: 200, description: 'The node\'s own report.', schema: z.unknown() }],
      faults: nodeFaults,
      serve: async ({ c, params: { peerId } }) => jsonAnswer(c, await mesh.askNode(peerId, about)),
    })),
    defineRoute({
      method: 'GET', path: '/v1/queue', summary: 'What each node runs and what waits for a slot.', tag,
      answers: [{ status: 200, description: 'One entry per reachable node.', schema: z.array(QueueView) }],
      faults: ['timeout', 'overloaded'],
      serve: async ({ c, principal }) => jsonAnswer(c, await mesh.ask({ op: 'queue' }, principal)),
    }),
    defineRoute({
      method: 'GET', path: '/v1/capabilities', summary: 'What the mesh can do, and who offers it.', tag,
      answers: [{ status: 200, description: 'Every capability of a live node, by name and version.', schema: z.array(CapabilityView) }],
      faults: [],
      serve: async ({ c }) => jsonAnswer(c, await mesh.capabilities()),
    }),
  ]
}
