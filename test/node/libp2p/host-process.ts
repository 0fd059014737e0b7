/** A host in a process of its own: prints its peer id and address as one JSON line, then every message it hears. */
import { createHost } from '../../../node/libp2p/host.ts'
import { loadIdentityKey, openNodeDatastore } from '../../../node/identity.ts'
import { loadOrCreateMeshKey } from '../../../node/mesh-key.ts'

const [dataDir = '', listen = '', ...peers] = process.argv.slice(2)
const store = await openNodeDatastore(dataDir)
const { meshKey } = await loadOrCreateMeshKey(dataDir)
const host = await createHost({
  privateKey: await loadIdentityKey(store),
  datastore: store.datastore,
  meshKey,
  telemetry: { record: () => undefined },
  listen: [listen],
  mdns: false,
  peers,
})
host.transport.onReceive(({ peer, envelope }) => {
  console.log(JSON.stringify({ heard: envelope.message }))
  host.transport.send(peer, { ...envelope, to: 'echo' })
})
console.log(JSON.stringify({ peerId: host.peerId, addrs: host.addrs() }))
process.once('SIGTERM', () => {
  void host.stop().then(() => store.close())
})
