/** A failing seed as a test file that keeps failing until it is mended. It carries its scenario, so that later changes to that do not change the run. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join, relative, resolve, sep } from 'node:path'
import { stringify } from 'yaml'
import type { Violation } from '../../sim/history/history.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { type LoadedScenario, messageOf } from './scenario-file.ts'

export interface Regression {
  readonly loaded: LoadedScenario
  readonly seed: number
  readonly untilMs: number
  readonly violation: Violation
}

/** @param root of the clone whose sources the test imports @returns the path of the file. @throws MeshError when it cannot be written */
export function writeRegressionTest(regression: Regression, folder: string, root: string): string {
  const { loaded, seed } = regression
  const path = join(folder, `${loaded.scenario.name}-seed-${seed}.test.ts`)
  try {
    mkdirSync(folder, { recursive: true })
    const traces = [...loaded.traces].map(([file, text]) => {
      const name = basename(file).replace(/\.gz$/, '')
      mkdirSync(join(folder, 'traces'), { recursive: true })
      writeFileSync(join(folder, 'traces', name), text)
      return { file, name }
    })
    writeFileSync(path, testText(regression, toImport(folder, root), traces))
  } catch (thrown) {
    throw new MeshError('bad-request', `${path} cannot be written: ${messageOf(thrown)}`, { next: 'give another folder with --regressions, or --no-regressions' })
  }
  return path
}

function toImport(folder: string, root: string): string {
  const way = relative(resolve(folder), root).split(sep).join('/')
  return way === '' ? '.' : way.startsWith('.') ? way : `./${way}`
}

export function testText({ loaded, seed, untilMs, violation }: Regression, root: string, traces: readonly { readonly file: string; readonly name: string }[]): string {
  const { scenario } = loaded
  const title = `${scenario.name}, seed ${seed}, up to ${untilMs} ms`
  const yaml = stringify(scenario, { lineWidth: 0 }).trimEnd()
  const reads = traces.map(({ file, name }) => `[${single(file)}, readFileSync(new URL(${single(`./traces/${name}`)}, import.meta.url), 'utf8')]`)
  return `/** ${comment(`${violation.promise}: ${violation.detail}`)} */
${traces.length > 0 ? 'import { readFileSync } from \'node:fs\'\n' : ''}import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { Scenario } from '${root}/sim/scenario/schema.ts'
import { runSimulation } from '${root}/sim/simulator.ts'

const scenario = Scenario.parse(parse(\`
${yaml.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${')}
\`))

test(${single(title)}, async () => {
  const { report } = await runSimulation({ scenario, seed: ${seed}, untilMs: ${untilMs}${traces.length > 0 ? `, traces: new Map([${reads.join(', ')}])` : ''} })
  expect(report.violations).toEqual([])
}, 600_000)
`
}

function single(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll('\'', '\\\'').replace(/[\n\r\u2028\u2029]/g, ' ')}'`
}

function comment(text: string): string {
  return text.replaceAll('*/', '* /').replace(/\s+/g, ' ').slice(0, 500)
}
