/** Real nodes with models: a bridge that has none, and workers that do. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'
import { until } from '../replication/figures.ts'
import { type BenchMesh, createBenchMesh } from '../replication/nodes.ts'

export const bridgeName = 'bridge'

export interface ModelNode {
  readonly name: string
  /** Its configuration file's `models` or `endpoints`. */
  readonly config: object
  readonly flags?: readonly string[]
}

const joinPatienceMs = 60_000

/** @param profiles where each node leaves a profile of its processor time when it ends. */
export async function startModelMesh(nodes: readonly ModelNode[], bridgeFlags: readonly string[] = [], profiles?: string): Promise<BenchMesh> {
  const mesh = createBenchMesh((name) => (profiles === undefined ? [] : ['--cpu-prof', '--cpu-prof-interval', '500', '--cpu-prof-dir', profiles, `--cpu-prof-name=${name}-\${pid}.cpuprofile`]))
  try {
    await mesh.start(bridgeName, ['--duties', 'replica,bridge', ...bridgeFlags])
    for (const { name, config, flags = [] } of nodes) await mesh.start(name, ['--config', configFile(mesh, name, config), ...flags])
    await mesh.joined(joinPatienceMs)
    return mesh
  } catch (thrown) {
    await mesh.stop()
    throw thrown
  }
}

function configFile({ folder }: BenchMesh, name: string, config: object): string {
  const file = join(folder, `${name}.json`)
  writeFileSync(file, JSON.stringify(config))
  return file
}

/** Until the bridge knows of so many nodes with the model. */
export async function served(mesh: BenchMesh, model: string, nodes: number): Promise<void> {
  const client = clientOf(mesh)
  await until(`that ${nodes} nodes serve ${model}`, async () => {
    const entry = (await client.models.list()).data.find(({ id }) => id === model) as { readonly skein?: { readonly nodes?: readonly unknown[] } } | undefined
    return (entry?.skein?.nodes?.length ?? 0) >= nodes ? true : undefined
  }, joinPatienceMs)
}

/** The official client of the mesh's bridge. */
export function clientOf(mesh: BenchMesh): OpenAI {
  return openAiClient(`${mesh.node(bridgeName).client.url}/v1`)
}

export function openAiClient(baseURL: string): OpenAI {
  return new OpenAI({ baseURL, apiKey: 'none is needed', maxRetries: 0 })
}
