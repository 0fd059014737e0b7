/** An endpoint's address, taken apart: what may be shown, what requests go to, and who they say they come from. */
import { MeshError } from '../../../protocols/kernel/errors.ts'

export interface Endpoint {
  /** Where requests go, without credentials: `http://127.0.0.1:11434/v1`. */
  readonly baseUrl: string
  readonly url: URL
  /** The `Authorization` header; undefined: none is sent. */
  readonly authorisation: string | undefined
  /** Removes what is secret from a text that somebody else wrote. */
  readonly redact: (text: string) => string
}

/** Long enough to be no word that occurs in any text. */
const secretLengthMin = 4

/**
 * @param baseUrl without a path it gets `/v1`, where every such endpoint has its routes. User and password in it are sent, never shown.
 * @throws MeshError `bad-request` for what is no address.
 */
export function readEndpoint(name: string, baseUrl: string, apiKey: string | undefined): Endpoint {
  const next = 'give one like https://api.openai.com/v1 or http://127.0.0.1:11434/v1'
  if (!URL.canParse(baseUrl)) throw new MeshError('bad-request', `the address of the endpoint ${name} cannot be read`, { next })
  const url = new URL(baseUrl)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new MeshError('bad-request', `the address of the endpoint ${name} begins with ${url.protocol}//`, { next })
  const [user, password] = [decode(url.username), decode(url.password)]
  const secrets = [apiKey, password, url.password, ...url.searchParams.values()].filter((secret): secret is string => secret !== undefined && secret.length >= secretLengthMin)
  const authorisation = apiKey !== undefined ? `Bearer ${apiKey}` : user !== '' || password !== '' ? `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` : undefined
  if (authorisation !== undefined && !/^[\x20-\x7e]*$/.test(authorisation)) {
    throw new MeshError('bad-request', `the key of the endpoint ${name} holds characters that cannot be sent`, { next: 'set it again, without line breaks and quotation marks' })
  }
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  url.pathname = url.pathname.replace(/\/+$/, '') || '/v1'
  return {
    baseUrl: url.href,
    url,
    authorisation,
    redact: (text) => secrets.reduce((left, secret) => left.replaceAll(secret, '***'), text).replace(/\bsk-[\w*-]{4,}/g, 'sk-***'),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
