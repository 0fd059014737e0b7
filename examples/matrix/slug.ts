export interface SlugOptions {
  readonly separator?: string
  readonly charactersMax?: number
}

/** A title as it may stand in an address: `Grey Geese, flying!` → `grey-geese-flying`. */
export function slug(title: string, options: SlugOptions = {}): string {
  const separator: string = options.separator ?? '-'
  const words = title.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().match(/[a-z0-9]+/g) ?? ([] as string[])
  return words.join(separator).slice(0, options.charactersMax ?? 80)
}
