/** The question that the mesh and node-llama-cpp alone are both asked. */
export const question = 'Why do geese fly in a V, and how do they know when to change places?'
export const temperature = 0.8
