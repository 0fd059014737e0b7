import type { SimulationReport } from '../../../sim/report.ts'
export function reportPage(report: SimulationReport, _about: { readonly wallMs?: number; readonly command: string }): string { return report.scenario }
