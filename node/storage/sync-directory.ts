import { open } from 'node:fs/promises'

/** After it, what was renamed or made in a directory is there for good. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
