/** Sums of what models were used for. */
import type { AgentUsage } from './schema.ts'

export const nothingUsed: AgentUsage = { promptTokens: 0, completionTokens: 0, costUsd: 0, modelCalls: 0 }

export function addUsage(...parts: readonly AgentUsage[]): AgentUsage {
  return parts.reduce((sum, part) => ({
    promptTokens: sum.promptTokens + part.promptTokens,
    completionTokens: sum.completionTokens + part.completionTokens,
    costUsd: sum.costUsd + part.costUsd,
    modelCalls: sum.modelCalls + part.modelCalls,
  }), nothingUsed)
}
