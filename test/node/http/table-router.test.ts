import { expect, it } from 'vitest'
import { createTableRouter } from '../../../node/http/table-router.ts'

function routed(...routes: readonly (readonly [method: string, path: string])[]) {
  const router = createTableRouter<string>()
  for (const [method, path] of routes) router.add(method, path, `${method} ${path}`)
  return (method: string, path: string) => router.match(method, path)[0].map(([handler, params]) => [handler, params])
}

it('a parameter beside a fixed name, middleware around both, each in the order of its adding', () => {
  const match = routed(['ALL', '/*'], ['GET', '/nodes/events'], ['GET', '/nodes/:peer/logs'], ['GET', '/nodes/:peer'], ['DELETE', '/nodes/:peer'])
  expect(match('GET', '/nodes/p1/logs')).toEqual([['ALL /*', {}], ['GET /nodes/:peer/logs', { peer: 'p1' }]])
  expect(match('GET', '/nodes/events')).toEqual([['ALL /*', {}], ['GET /nodes/events', {}], ['GET /nodes/:peer', { peer: 'events' }]])
  expect(match('DELETE', '/nodes/a%2Fb')).toEqual([['ALL /*', {}], ['DELETE /nodes/:peer', { peer: 'a%2Fb' }]])
})

it('what is no route gets the middleware only', () => {
  const match = routed(['ALL', '/*'], ['GET', '/nodes/:peer'])
  for (const [method, path] of [['GET', '/nodes/'], ['GET', '/nodes'], ['GET', '/nodes/a/b'], ['POST', '/nodes/a'], ['GET', '/']] as const) expect(match(method, path), `${method} ${path}`).toEqual([['ALL /*', {}]])
})

it('forms that it does not know are refused when they are added', () => {
  expect(() => routed(['GET', '/files/*'])).toThrow('does not know GET /files/*')
  expect(() => routed(['ALL', '/nodes'])).toThrow('does not know ALL /nodes')
})
