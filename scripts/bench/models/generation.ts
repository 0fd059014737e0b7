/** The questions that the mesh and node-llama-cpp alone are both asked. Each begins differently, so that nothing of it was read before. */
export function question(number: number): string {
  return `${number}. Why do geese fly in a V, and how do they know when to change places?`
}

export const temperature = 0.8
