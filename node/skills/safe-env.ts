/** The environment that skills and programs see. The node's own may hold keys, so only what is known to be harmless passes. */

const passed = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'NODE_ENV']
const passedPrefix = 'SKEIN_SKILL_'

export function safeEnv(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const safe: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (passed.includes(name) || name.startsWith(passedPrefix))) safe[name] = value
  }
  return safe
}
