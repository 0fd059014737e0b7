/**
 * A connection to whichever bridge of a mesh still stands. It begins at one; while that one answers, it learns of others
 * from the nodes' adverts, and goes on at one of those when nothing answers any more. A mission's id is good at every bridge.
 */
import type { NodeView } from '../../protocols/capability/views.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { BridgeGone, connectBridge, type BridgeConnection, type BridgeRequest } from './client-request.ts'

/** Told once per move. */
export type OnMoved = (from: string, to: string, name: string) => void

export interface RoamingBridge extends BridgeConnection {
  /** Learns of other bridges now and then, until closed; what was learned is kept. */
  roam(onMoved: OnMoved): { close(): void }
}

const learnMs = 5_000
const probeMs = 3_000

export function connectRoaming(bridgeUrl: string, token?: string): RoamingBridge {
  let current = connectBridge(bridgeUrl, token)
  const known = new Map<string, { readonly peer: PeerId; readonly name: string }>()
  let moved: OnMoved = () => undefined
  let moving: Promise<boolean> | undefined

  async function learn(): Promise<void> {
    try {
      const nodes = await current.json<NodeView[]>({ path: '/v1/nodes', timeoutMs: probeMs })
      for (const { peerId, name, advert } of nodes) if (advert?.http !== undefined && mayFollow(current.url, advert.http, token)) known.set(advert.http.replace(/\/+$/, ''), { peer: peerId, name })
    } catch {
      // The bridge is away or busy: what was learned before still holds.
    }
  }

  /** @returns false when no other bridge answers. */
  async function move(): Promise<boolean> {
    for (const [url, { peer, name }] of known) {
      if (url === current.url) continue
      const candidate = connectBridge(url, token)
      try {
        // Another machine's loopback is this machine's too: only the node that said so is believed.
        const nodes = await candidate.json<NodeView[]>({ path: '/v1/nodes', timeoutMs: probeMs })
        if (!nodes.some((node) => node.self && node.peerId === peer)) continue
      } catch {
        continue
      }
      const from = current.url
      current = candidate
      moved(from, url, name)
      void learn()
      return true
    }
    return false
  }

  async function orElsewhere<Answer>(asked: BridgeRequest, ask: (bridge: BridgeConnection) => Promise<Answer>): Promise<Answer> {
    const at = current
    try {
      return await ask(at)
    } catch (thrown) {
      if (!(thrown instanceof BridgeGone) || !(thrown.isUnsent || isHarmless(asked))) throw thrown
      moving ??= (at === current ? move() : Promise.resolve(true)).finally(() => (moving = undefined))
      if (!await moving) throw thrown
      return ask(current)
    }
  }

  return {
    get url() {
      return current.url
    },
    request: (asked) => orElsewhere(asked, (bridge) => bridge.request(asked)),
    json: (asked) => orElsewhere(asked, (bridge) => bridge.json(asked)),
    roam(onMoved) {
      moved = onMoved
      void learn()
      const timer = setInterval(() => void learn(), learnMs)
      timer.unref()
      return { close: () => clearInterval(timer) }
    },
  }
}

/** What only asks may be asked of two, and so may what carries a key: the same key gives the same mission everywhere. */
function isHarmless({ method = 'GET', headers }: BridgeRequest): boolean {
  return method === 'GET' || method === 'HEAD' || headers?.['idempotency-key'] !== undefined
}

/** A bridge on loopback is of use to those on its machine, one on a network demands a token. */
function mayFollow(from: string, to: string, token: string | undefined): boolean {
  if (!URL.canParse(to) || !/^https?:$/.test(new URL(to).protocol)) return false
  return isLoopback(to) ? isLoopback(from) : token !== undefined
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url)
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
}
