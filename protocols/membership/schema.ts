/** Who is in the mesh and how nodes greet each other. */
import { z } from 'zod'

/** First message on every connection, both ways. An unknown major is answered by `goodbye` with a reason. */
export const Hello = z.object({ kind: z.literal('hello'), name: z.string().max(64), release: z.string().max(32), protocolMajor: z.number().int().min(0), protocolMinor: z.number().int().min(0) })
/** The sender is leaving or will not talk: `reason` is for people. */
export const Goodbye = z.object({ kind: z.literal('goodbye'), reason: z.string().max(280) })
/** Recent log lines of a node, for `doctor` and the bridge. Answered by `node-report`. */
export const NodeAsk = z.object({ kind: z.literal('node-ask'), requestId: z.string().max(64), about: z.enum(['status', 'peers', 'logs']) })
export const NodeReport = z.object({ kind: z.literal('node-report'), requestId: z.string().max(64), report: z.unknown() })

export const membershipMessages = [Hello, Goodbye, NodeAsk, NodeReport] as const
export type MembershipMessage = z.infer<(typeof membershipMessages)[number]>
