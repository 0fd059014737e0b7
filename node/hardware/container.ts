/** In what kind of container, if any, this process runs. Files and environment only: nothing is executed. */
import type { SystemFiles } from './system-files.ts'

export type Container = 'kubernetes' | 'podman' | 'docker' | 'lxc' | 'systemd-nspawn' | 'wsl' | 'container'

/**
 * The innermost kind first: a Docker container inside WSL is `docker`.
 * Sources: https://systemd.io/CONTAINER_INTERFACE (variable `container`, /run/systemd/container, /run/host/container-manager),
 * /run/.containerenv (podman), /.dockerenv (docker), `microsoft` in the kernel's release (WSL).
 */
export async function detectContainer(files: SystemFiles, env: Readonly<Record<string, string | undefined>>): Promise<Container | undefined> {
  const groups = (await files.read('/proc/self/cgroup')) ?? ''
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined || /\bkubepods\b/.test(groups)) return 'kubernetes'
  if ((await files.list('/var/run/secrets/kubernetes.io')).length > 0) return 'kubernetes'

  const stated = env['container'] ?? (await files.read('/run/systemd/container')) ?? (await files.read('/run/host/container-manager'))
  const named = stated === undefined || stated === '' ? undefined : containerNamed(stated)
  if (named !== undefined && named !== 'container') return named

  if ((await files.read('/run/.containerenv')) !== undefined || /\blibpod\b/.test(groups)) return 'podman'
  if ((await files.read('/.dockerenv')) !== undefined || /\bdocker\b/.test(groups)) return 'docker'
  if (/(^|\/)lxc(\.payload)?[./]/m.test(groups)) return 'lxc'
  if (named !== undefined) return named
  if (/microsoft|wsl/i.test((await files.read('/proc/sys/kernel/osrelease')) ?? '')) return 'wsl'
  return undefined
}

function containerNamed(name: string): Container {
  if (/^lxc/.test(name)) return 'lxc'
  if (name === 'wsl') return 'wsl'
  if (name === 'podman' || name === 'docker' || name === 'systemd-nspawn') return name
  return 'container'
}
