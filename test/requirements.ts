/**
 * What some tests need of the machine. A test that cannot run says why, in its name, and `npm test` prints it:
 *
 * ```ts
 * const lack = lacksNetworkNamespaces()
 * describe.skipIf(lack)(named('a mesh over three machines', lack), () => { … })
 * ```
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** @returns the name, with the reason when there is one. */
export function named(name: string, lack: string | undefined): string {
  return lack === undefined ? name : `${name} [skipped: ${lack}]`
}

/** @returns the full path of a program, or undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** @returns why not, or undefined when every program is installed. */
export function lacksProgram(...names: readonly string[]): string | undefined {
  const missing = names.filter((name) => findProgram(name) === undefined)
  return missing.length === 0 ? undefined : `not installed here: ${missing.join(', ')}`
}

export function lacksBrowser(): string | undefined {
  return lacksProgram('chromium')
}

/** Makes and removes a namespace, for being root is not enough in every container. */
export function lacksNetworkNamespaces(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const ip = findProgram('ip')
  if (ip === undefined) return 'the program `ip` (iproute2) is not installed'
  const probe = `skein-probe-${process.pid}`
  try {
    execFileSync(ip, ['netns', 'add', probe], { stdio: 'pipe' })
    execFileSync(ip, ['netns', 'delete', probe], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return `network namespaces are not allowed here (${error instanceof Error ? error.message.split('\n').at(-1) ?? '' : String(error)})`
  }
}
