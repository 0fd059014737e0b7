/**
 * Lets a skill file that lies anywhere on a disk import `skein/skill`, and `zod` when it has none of its own,
 * without an installation beside it; and lets a package be resolved from the folder where the node was started.
 */
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import { siblingModule } from '../source-or-bundle.ts'

const packagePrefix = 'skein-package:'
let registered = false

/** Registers the import hooks of this thread, once. */
export function registerSkillImports(): void {
  if (registered) return
  registered = true
  const skillApi = siblingModule(import.meta.url, './define-skill').href
  registerHooks({
    resolve(specifier, context, nextResolve) {
      if (specifier === 'skein/skill') return { url: skillApi, shortCircuit: true }
      if (specifier.startsWith(packagePrefix)) {
        const [name = '', folder = ''] = specifier.slice(packagePrefix.length).split('#').map(decodeURIComponent)
        return nextResolve(name, { ...context, parentURL: pathToFileURL(`${folder}/`).href })
      }
      if (specifier !== 'zod') return nextResolve(specifier, context)
      try {
        return nextResolve(specifier, context)
      } catch {
        return nextResolve(specifier, { ...context, parentURL: import.meta.url })
      }
    },
  })
}

/** An import specifier that means "the package `name` as seen from `folder`". Understood where `registerSkillImports` was called. */
export function packageSpecifier(name: string, folder: string): string {
  return `${packagePrefix}${encodeURIComponent(name)}#${encodeURIComponent(folder)}`
}
