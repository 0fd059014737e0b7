/** What `skein doctor` finds, whether it is content (exit code 0) or not (1). */
import type { Finding } from '../../node/cli/doctor/findings.ts'
import { type RealNode, runSkein } from './real-mesh.ts'

export interface Diagnosis {
  readonly problems: number
  readonly findings: readonly Finding[]
  readonly code: number | null
}

export async function doctor(node: RealNode, ...args: readonly string[]): Promise<Diagnosis> {
  const { code, out, err } = await runSkein(['doctor', ...args, '--json', '--data', node.dataDir], node.spec.shell === undefined ? {} : { prefix: node.spec.shell(node.pid) })
  if (code !== 0 && code !== 1) throw new Error(`doctor ended with ${String(code)}: ${err}`)
  const { problems, findings } = JSON.parse(out) as Omit<Diagnosis, 'code'>
  return { problems, findings, code }
}
