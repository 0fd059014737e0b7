/**
 * The same code runs from its TypeScript sources and from the published bundle. A module that must be named by its
 * address (a worker thread's entry, a module that foreign code imports) is a `.ts` file in the one and a `.js` file in the other.
 */

/**
 * @param from `import.meta.url` of the module that asks. @param name relative, without extension: `./skill-thread.worker`.
 * @returns the address beside `from`. In the bundle, entries lie flat in one folder under their own names.
 */
export function siblingModule(from: string, name: string): URL {
  if (from.endsWith('.ts')) return new URL(`${name}.ts`, from)
  return new URL(`./${name.slice(name.lastIndexOf('/') + 1)}.js`, from)
}

/** A folder of files that are read, not imported: where `name` says beside the source; beside the bundle under its own name. */
export function siblingFolder(from: string, name: string): URL {
  if (from.endsWith('.ts')) return new URL(`${name}/`, from)
  return new URL(`./${name.slice(name.lastIndexOf('/') + 1)}/`, from)
}
