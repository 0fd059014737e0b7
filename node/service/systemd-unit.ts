/** The text of a systemd user unit. Pure: writing and starting it is `service.ts`'s work. */
import { MeshError } from '../../protocols/kernel/errors.ts'

export const systemdUnitName = 'skein.service'

export interface ServiceProgram {
  /** Absolute path of the Node binary. */
  readonly nodePath: string
  /** Absolute path of the `skein` bin. */
  readonly binPath: string
  /** What follows the bin: `node start --data …`. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** After this a stop becomes a kill. */
  readonly stopTimeoutMs: number
}

/**
 * Restarted after a crash, but not after bad usage (exit code 2), which would fail the same way again.
 * Source: systemd.service(5), systemd.exec(5), systemd.kill(5).
 * @throws MeshError `bad-request` for a path or value that a unit cannot hold (line breaks, control characters).
 */
export function renderSystemdUnit(program: ServiceProgram): string {
  const [command, ...args] = commandLine(program)
  const environment = Object.entries(program.env).map(([name, value]) => `Environment=${quoteForSystemd(`${name}=${value}`)}`)
  return [
    '# Written by `skein service install`; `skein service remove` deletes it.',
    '[Unit]',
    'Description=Skein node',
    'StartLimitIntervalSec=300',
    'StartLimitBurst=10',
    '',
    '[Service]',
    'Type=exec',
    // systemd expands variables in arguments, but not in the program's own path.
    `ExecStart=${[quoteForSystemd(command), ...args.map((arg) => quoteForSystemd(arg).replaceAll('$', '$$$$'))].join(' ')}`,
    ...environment,
    'Restart=on-failure',
    'RestartSec=2',
    'RestartPreventExitStatus=2',
    'KillSignal=SIGTERM',
    // The node stops its skills itself when it drains; what is left after the time limit is killed with it.
    'KillMode=mixed',
    `TimeoutStopSec=${Math.ceil(program.stopTimeoutMs / 1_000)}`,
    '',
    '[Install]',
    'WantedBy=default.target',
    '',
  ].join('\n')
}

/**
 * systemd refuses quotes and backslashes in the path of a program, however they are written ("Executable name contains
 * special characters"), but not in its arguments: such a Node is started by a shell that makes way for it.
 */
function commandLine(program: ServiceProgram): [string, ...string[]] {
  const args = [program.binPath, ...program.args]
  return /["'\\]/.test(program.nodePath) ? ['/bin/sh', '-c', 'exec "$@"', 'skein', program.nodePath, ...args] : [program.nodePath, ...args]
}

/** One word of a unit file: in double quotes, `%` doubled because it begins a specifier. */
export function quoteForSystemd(word: string): string {
  refuseControlCharacters(word)
  return `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`
}

/** @throws MeshError `bad-request` */
export function refuseControlCharacters(text: string): void {
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  if (!/[\u0000-\u001f\u007f]/.test(text)) return
  throw new MeshError('bad-request', `a service's definition cannot hold the control characters in ${JSON.stringify(text)}`, { next: 'use a path without line breaks' })
}
