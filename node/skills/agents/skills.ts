/**
 * Agents: `agent.plan` makes a plan of a goal in words, `agent.work` and `agent.act` do its tasks, `agent.review` judges them.
 * Models are asked through the mesh (`llm.chat`), wherever they are, and functions are the mesh's capabilities.
 *
 * @packageDocumentation
 */
import { defineSkill } from '../define-skill.ts'
import type { CompositeSkill, LeafSkill } from '../define-skill.ts'
import { declared } from './declarations.ts'
import { planMission, reviseMission } from './plan-mission.ts'
import { review } from './review.ts'
import { synthesise } from './synthesise.ts'
import { work } from './work.ts'

export const agentPlan: CompositeSkill = defineSkill({ ...declared.plan, plan: planMission, revise: reviseMission, synthesise })
export const agentWork: LeafSkill = defineSkill({ ...declared.work, run: (input, context) => work(input, context, { mayAct: false }) })
export const agentAct: LeafSkill = defineSkill({ ...declared.act, run: (input, context) => work(input, context, { mayAct: true }) })
export const agentReview: LeafSkill = defineSkill({ ...declared.review, run: review })

/** What a node offers for missions in free text. */
export const agentSkills: readonly (CompositeSkill | LeafSkill)[] = [agentPlan, agentWork, agentAct, agentReview]

export default agentSkills
