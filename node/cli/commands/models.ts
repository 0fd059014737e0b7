/** `models`: the language models of the mesh. */
import type { Command } from 'commander'
import type { CapabilityView, NodeView } from '../../../protocols/capability/views.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import { chatCapability, embedCapability } from '../../../protocols/models/schema.ts'
import { type Cli, type TalkFlags, act, withTalk } from '../cli.ts'
import { connect } from '../connection.ts'
import type { Colours } from '../view/colours.ts'
import { printable } from '../view/format.ts'
import { table } from '../view/table.ts'

/** One model on one node. */
export interface ModelView {
  readonly model: string
  readonly does: 'chat' | 'embed'
  readonly node: { readonly peerId: PeerId; readonly name: string }
  /** Of its node, as seen from the bridge. */
  readonly state: NodeView['state']
  readonly provider?: string
  readonly contextTokens?: number
  readonly quantisation?: string
  /** As measured by its node; absent until it has answered. */
  readonly tokensPerSecond?: number
  readonly slots?: number
  readonly inputUsdPerMillion?: number
  readonly outputUsdPerMillion?: number
}

export function addModelsCommand(program: Command, cli: Cli): void {
  withTalk(program.command('models').description('the language models of the mesh, where they run, how fast and what they cost')).action(act<TalkFlags>(cli, async ({ flags, voice, world }) => {
    const { client } = await connect(flags, world)
    const [capabilities, nodes] = await Promise.all([client.capabilities(), client.nodes()])
    const models = modelsIn(capabilities, nodes)
    voice.value(models)
    voice.print((models.length === 0 ? emptyLines : modelLines(models, voice.columns, voice.colours)).join('\n'))
  }))
}

const emptyLines = [
  'no node of the mesh has a language model. Start one that has, in one of these ways:',
  '  skein node start --model FILE.gguf                           a model file that runs on this machine (npm install node-llama-cpp)',
  '  skein node start --llm-url http://127.0.0.1:11434/v1         Ollama, LM Studio, vLLM, or any OpenAI-compatible endpoint (its key: SKEIN_LLM_KEY)',
  '  OPENAI_API_KEY=… skein node start                            OpenAI',
]

const capabilitiesOfModels: readonly string[] = [chatCapability, embedCapability]

/** @returns a row for every model of every node, by name. */
export function modelsIn(capabilities: readonly CapabilityView[], nodes: readonly NodeView[]): ModelView[] {
  const stateOf = new Map(nodes.map((node) => [node.peerId, node.state]))
  return capabilities.filter(({ name }) => capabilitiesOfModels.includes(name)).flatMap(({ name, providers }) => providers.flatMap(({ peerId, name: nodeName, offers }) => offers.flatMap(({ attributes, slots }): ModelView[] => {
    const text = (key: string): string | undefined => (typeof attributes[key] === 'string' ? attributes[key] : undefined)
    const number = (key: string): number | undefined => (typeof attributes[key] === 'number' ? attributes[key] : undefined)
    const model = text('model')
    if (model === undefined) return []
    const known = {
      provider: text('provider'), contextTokens: number('contextTokens'), quantisation: text('quantisation'), tokensPerSecond: number('tokensPerSecond'), slots: slots ?? number('slots'),
      inputUsdPerMillion: number('inputUsdPerMillion'), outputUsdPerMillion: number('outputUsdPerMillion'),
    }
    return [{ model, does: name === chatCapability ? 'chat' : 'embed', node: { peerId, name: nodeName }, state: stateOf.get(peerId) ?? 'known', ...defined(known) }]
  }))).sort((left, right) => left.model.localeCompare(right.model) || left.node.name.localeCompare(right.node.name))
}

function defined<T extends Readonly<Record<string, unknown>>>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [Key in keyof T]?: Exclude<T[Key], undefined> }
}

/** @returns a heading and a line per model and node. */
export function modelLines(models: readonly ModelView[], columns: number, colours: Colours): string[] {
  const rows = models.map((view) => [
    printable(view.model), view.does, printable(view.node.name), view.state === 'connected' ? colours.green('ready') : colours.yellow(view.state),
    view.contextTokens === undefined ? '' : tokens(view.contextTokens), printable(view.quantisation ?? ''), view.tokensPerSecond === undefined ? '' : String(view.tokensPerSecond),
    view.slots === undefined ? '' : String(view.slots), price(view), printable(view.provider ?? ''),
  ])
  return table([['MODEL', 'DOES', 'NODE', 'STATE', 'CONTEXT', 'QUANT', 'TOK/S', 'SLOTS', 'USD/M IN/OUT', 'BY'], ...rows], columns, colours.dim)
}

/** `8k`, `128k`, `1M`; small and odd numbers as they are. */
function tokens(count: number): string {
  for (const [unit, size] of [['M', 1_000_000], ['M', 1_048_576], ['k', 1_000], ['k', 1_024]] as const) if (count >= size && count % size === 0) return `${count / size}${unit}`
  return String(count)
}

function price({ inputUsdPerMillion: input, outputUsdPerMillion: output }: ModelView): string {
  if (input === undefined && output === undefined) return ''
  return (input ?? 0) === 0 && (output ?? 0) === 0 ? 'free' : `${input ?? 0}/${output ?? 0}`
}
