/** The tiny model for tests; benchmarks use it as well, and they may not look in here. */
export type { TinyGgufOptions } from '../../../scripts/tiny-gguf/model.ts'
export { chatMlTemplate, slowModel, toolCallPhrase, toolTemplate, writeHollowGguf, writeTinyGguf } from '../../../scripts/tiny-gguf/model.ts'
