/** How many tokens a text may have: rather too many than too few, for a tokenizer that nobody has told of. */
export function estimateTokens(text: string): number {
  // English has about four bytes to a token, German and code three; other scripts two to three.
  return Math.ceil(Buffer.byteLength(text) / 3)
}
