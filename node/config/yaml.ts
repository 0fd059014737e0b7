/**
 * YAML's parser, for whoever loads it only when there is something to parse: `await import('./yaml.ts')`. The package is CommonJS, and of
 * such a one that is loaded by `import()` the bundle would give the default export alone.
 */
export { LineCounter, isNode, parse, parseDocument, stringify } from 'yaml'
