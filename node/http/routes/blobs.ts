import { z } from 'zod'
import { fault } from '../../../protocols/kernel/errors.ts'
import { Digest } from '../../../protocols/kernel/ids.ts'
import { limits as kernelLimits } from '../../../protocols/kernel/limits.ts'
import { BlobRef } from '../../../protocols/kernel/payload.ts'
import { jsonAnswer } from '../answer.ts'
import { BlobQuery, mediaTypeForm } from '../blob-link.ts'
import type { BridgeParts } from '../parts.ts'
import { HttpFault } from '../problem.ts'
import { defineRoute } from '../route-table.ts'
import type { Call, Route } from '../route-table.ts'
import { createUploader } from '../upload.ts'

const tag = 'blobs'
const params = z.object({ sha256: Digest })
const mediaTypesMax = 10_000

/**
 * Content is whatever somebody's task produced. A page among it is shown in a sandbox of its own origin: it can run,
 * but reach neither this bridge nor anything else.
 */
const untrustedHeaders = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': 'sandbox allow-scripts; default-src \'none\'; style-src \'unsafe-inline\'; script-src \'unsafe-inline\'; img-src data:; font-src data:',
}

export function blobRoutes({ blobs, limits }: BridgeParts): Route[] {
  const uploader = createUploader(blobs, limits)
  // The store keeps bytes by hash, nothing else; a reference carries the type everywhere but in a bare GET.
  const mediaTypes = new Map<Digest, string>()

  function remember(digest: Digest, mediaType: string): void {
    mediaTypes.delete(digest)
    mediaTypes.set(digest, mediaType)
    if (mediaTypes.size > mediaTypesMax) for (const oldest of mediaTypes.keys()) {
      mediaTypes.delete(oldest)
      break
    }
  }

  function headersOf(digest: Digest, { type, name }: BlobQuery): Record<string, string> {
    return {
      'content-type': type ?? mediaTypes.get(digest) ?? 'application/octet-stream',
      etag: `"${digest}"`,
      'cache-control': 'private, max-age=31536000, immutable',
      ...(name === undefined ? {} : { 'content-disposition': `inline; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)}` }),
      ...untrustedHeaders,
    }
  }

  async function give({ c, params: { sha256 }, query }: Call<{ sha256: Digest }, BlobQuery>): Promise<Response> {
    const headers = headersOf(sha256, query)
    // The address is the hash of the content: who has it has it for ever.
    if (c.req.header('if-none-match')?.includes(`"${sha256}"`) === true) return c.body(null, 304, headers)
    let blob = await blobs.open(sha256)
    if (blob === undefined) {
      // A size is an upper bound where it is not known.
      await blobs.fetch({ $blob: sha256, sizeBytes: query.size ?? kernelLimits.blobBytesMax, ...(query.holder === undefined ? {} : { holders: query.holder }) })
      blob = await blobs.open(sha256)
    }
    if (blob === undefined) throw unknownBlob(sha256)
    return c.body(streamOf(blob.read()), 200, { ...headers, 'content-length': String(blob.sizeBytes) })
  }

  return [
    defineRoute({
      method: 'PUT', path: '/v1/blobs/{sha256}', summary: 'Store content under its SHA-256. Its Content-Type is kept.', tag, params,
      query: z.object({ name: z.string().max(512).optional().describe('A file name for the reference.') }),
      body: { required: true, content: { 'application/octet-stream': z.string().describe(`Any bytes, any Content-Type, at most ${limits.uploadBytesMax}.`) } },
      answers: [
        { status: 201, description: 'Stored. The answer is the reference to use in inputs.', schema: BlobRef },
        { status: 200, description: 'It was here already.', schema: BlobRef },
      ],
      faults: ['bad-input', 'too-large', 'overloaded', 'storage-failed'],
      async serve({ c, params: { sha256 }, query: { name } }) {
        const contentType = c.req.header('content-type')
        const mediaType = contentType !== undefined && mediaTypeForm.test(contentType) ? contentType : 'application/octet-stream'
        const { created, ref } = await uploader.receive(c.env.incoming, sha256, { mediaType, ...(name === undefined ? {} : { name }) })
        // The first to bring the content says what it is; a later caller cannot turn a picture into a page.
        if (created || !mediaTypes.has(sha256)) remember(sha256, mediaType)
        return jsonAnswer(c, ref, created ? 201 : 200, { location: `/v1/blobs/${sha256}` })
      },
    }),
    defineRoute({
      method: 'GET', path: '/v1/blobs/{sha256}', summary: 'Content by its SHA-256, fetched from its holders when this node does not have it.', tag, params, query: BlobQuery,
      answers: [{ status: 200, description: 'The bytes, under the type they were stored with or the one asked for.', mediaType: 'application/octet-stream', schema: z.string() }, { status: 304, description: 'The client has it.' }],
      faults: ['unknown-blob', 'too-large', 'storage-failed'],
      async serveHead({ c, params: { sha256 }, query }) {
        const blob = await blobs.open(sha256)
        if (blob === undefined) throw unknownBlob(sha256)
        return c.body(null, 200, { ...headersOf(sha256, query), 'content-length': String(blob.sizeBytes) })
      },
      serve: give,
    }),
  ]
}

function unknownBlob(digest: Digest): HttpFault {
  return new HttpFault(fault('unknown-blob', `this node does not have ${digest}`, { next: 'name nodes that have it: ?holder=<peer id>' }))
}

/** Pieces are read as the client takes them. */
function streamOf(pieces: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const iterator = pieces[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const step = await iterator.next()
      if (step.done === true) controller.close()
      else controller.enqueue(new Uint8Array(step.value.buffer as ArrayBuffer, step.value.byteOffset, step.value.byteLength))
    },
    async cancel() {
      await iterator.return?.()
    },
  }, { highWaterMark: 0 })
}
