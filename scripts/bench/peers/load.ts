/** What a peer's processes are asked, and what each peer has to be able to do. */
export const taskPeers = ['moleculer', 'nats', 'jetstream', 'bullmq'] as const
export type TaskPeer = (typeof taskPeers)[number]

export interface PeerInput {
  readonly text: string
  readonly ms?: number
}

/** Where the processes of one run find one another. */
export interface PeerPlace {
  readonly peer: TaskPeer
  /** The peers' folder. */
  readonly folder: string
  /** Of the broker; of peers without one, of each process: the submitter first. */
  readonly ports: readonly number[]
}

export interface PeerRole {
  readonly place: PeerPlace
  /** 0: the submitter; from 1: a worker. */
  readonly number: number
}

export interface Submitter {
  /** Resolves with the result of one task. */
  submit(input: PeerInput): Promise<number>
  /** For peers that have a way to hand in many at once. */
  submitAll?(inputs: readonly PeerInput[]): Promise<number[]>
  /** For peers whose processes find one another by themselves: resolves when the submitter knows every worker. */
  workersKnown?(): Promise<void>
  close(): Promise<void>
}

export interface PeerWorker {
  close(): Promise<void>
}

export type Work = (input: PeerInput) => number | Promise<number>

/** Gives a package of the peers' folder. */
export type Load = <Module>(name: string) => Module

export type PeerAsk =
  | { readonly op: 'await-workers' }
  | { readonly op: 'saturate'; readonly tasks: number }
  | { readonly op: 'one-by-one'; readonly tasks: number }
  | { readonly op: 'fan-out'; readonly tasks: number; readonly ms: number }
  | { readonly op: 'end' }

/** Milliseconds: of the whole load, or of each task. */
export type PeerReply = { readonly ready: true } | { readonly timesMs: readonly number[] } | { readonly failed: string }
