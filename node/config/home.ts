import { homedir } from 'node:os'

/** The user's home directory; empty where there is none: for a user without HOME whom the system does not know, as in a container that runs under any number. */
export function homeDirectory(): string {
  try {
    return homedir()
  } catch {
    return ''
  }
}
