/**
 * Checks the import rules of .dependency-cruiser.cjs and prints what to do about each violation.
 * `node scripts/rules.ts [--root FOLDER] [--modules-min N]`
 *
 * The checker is itself checked: dependency-cruiser exits 0 when it could not read a single module (a TypeScript it
 * does not know is enough), so a cruise of too few modules fails.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { cruise } from 'dependency-cruiser'
import type { ICruiseOptions, ICruiseResult, IFlattenedRuleSet } from 'dependency-cruiser'
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config'

/** Raise it as the house grows: a little below the number that `npm run rules` prints. */
const modulesMinDefault = 650

const rooms = ['protocols', 'actors', 'node', 'sim', 'scripts', 'test', 'web', 'examples']

export interface RuleViolation {
  readonly rule: string
  readonly from: string
  readonly to: string
  /** For a cycle: the files on the way back to `from`. */
  readonly via: readonly string[]
  readonly advice: string
}

export interface RuleReport {
  /** How many of our own modules were read. */
  readonly modules: number
  readonly violations: readonly RuleViolation[]
}

/** @param root folder that holds the rooms, package.json and tsconfig.json; also the working directory, for dependency-cruiser reads from there. */
export async function checkImports(root: string): Promise<RuleReport> {
  const config = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as { forbidden: NonNullable<IFlattenedRuleSet['forbidden']>; options: ICruiseOptions }
  const advice = new Map(config.forbidden.map((rule) => [rule.name, rule.comment ?? '']))
  const { enhancedResolveOptions, ...options } = config.options
  const present = rooms.filter((room) => existsSync(join(root, room)))
  if (present.length === 0) return { modules: 0, violations: [] }
  const { output } = await cruise(
    present,
    { ...options, baseDir: root, validate: true, ruleSet: { forbidden: config.forbidden } },
    enhancedResolveOptions,
    { tsConfig: extractTsConfig(join(root, 'tsconfig.json')) },
  )
  if (typeof output === 'string') throw new Error('dependency-cruiser gave text where a result was asked for')
  return { modules: countOwnModules(output), violations: violationsOf(output, advice) }
}

function countOwnModules(result: ICruiseResult): number {
  return result.modules.filter((module) => rooms.some((room) => module.source.startsWith(`${room}/`)) && module.couldNotResolve !== true).length
}

function violationsOf(result: ICruiseResult, advice: ReadonlyMap<string | undefined, string>): RuleViolation[] {
  return result.summary.violations.map((violation) => ({
    rule: violation.rule.name,
    from: violation.from,
    to: violation.to,
    via: (violation.cycle ?? []).map((step) => step.name),
    advice: advice.get(violation.rule.name) ?? '',
  }))
}

/** One paragraph per rule: its name, what to do, and each import that breaks it. */
export function describeReport(report: RuleReport, modulesMin: number): string {
  const paragraphs = [...new Set(report.violations.map((violation) => violation.rule))].map((rule) => {
    const broken = report.violations.filter((violation) => violation.rule === rule)
    const lines = broken.map(({ from, to, via }) => `  ${from} → ${via.length > 0 ? via.join(' → ') : to}`)
    return [`${rule}: ${broken[0]?.advice ?? ''}`, ...lines].join('\n')
  })
  if (report.modules < modulesMin) {
    paragraphs.push(`enough-modules: only ${report.modules} modules were read, at least ${modulesMin} were expected. Is the TypeScript one that dependency-cruiser can read? Did files move out of ${rooms.join(', ')}?`)
  }
  paragraphs.push(`import rules: ${report.modules} modules read, ${report.violations.length} violations`)
  return paragraphs.join('\n\n')
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { root: { type: 'string', default: resolve(import.meta.dirname, '..') }, 'modules-min': { type: 'string', default: String(modulesMinDefault) } } })
  const modulesMin = Number(values['modules-min'])
  process.chdir(values.root)
  const report = await checkImports(process.cwd())
  console.log(describeReport(report, modulesMin))
  return report.violations.length > 0 || report.modules < modulesMin ? 1 : 0
}

if (import.meta.main) process.exitCode = await main()
