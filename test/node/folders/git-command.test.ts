import { execFileSync } from 'node:child_process'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { gitEnvironment, runGit } from '../../../node/folders/git-command.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** Gone, or dead and not yet collected by whoever inherited it. */
function isDead(pid: number): boolean {
  try {
    return execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).trim().startsWith('Z')
  } catch {
    return true
  }
}

/** An alias stands for ssh and the other programs that git starts: this one does not obey SIGTERM and holds git's output open. */
const stubborn = ['-c', 'alias.stay=!trap "" TERM; echo $$; while :; do sleep 0.2; done', 'stay']

describe('runGit', () => {
  it('ends git and what it started when the work is cancelled', async () => {
    const stop = new AbortController()
    let said = ''
    const run = runGit(stubborn, {
      timeoutMs: 60_000,
      signal: stop.signal,
      onOutput: (chunk) => {
        said += chunk.toString()
        if (said.includes('\n')) stop.abort()
        return true
      },
    })
    await expect(run).rejects.toMatchObject({ fault: { code: 'cancelled' } })
    expect(Number(said)).toBeGreaterThan(1)
    await vi.waitFor(() => expect(isDead(Number(said))).toBe(true), { timeout: 20_000 })
  })

  it('ends git and what it started at the time limit', async () => {
    await expect(runGit(stubborn, { timeoutMs: 50 })).rejects.toMatchObject({ fault: { code: 'timeout', next: expect.any(String) as unknown } })
  })

  it('gives all output of a git that ends by itself', async () => {
    const ended = await runGit(['-c', 'alias.say=!head -c 300000 /dev/zero', 'say'], { timeoutMs: 60_000 })
    expect(ended).toMatchObject({ exitCode: 0, endedEarly: false })
    expect(ended?.stdout.byteLength).toBe(300_000)
  })

  it('lends nothing of the owner to a clone for somebody else', async () => {
    for (const name of ['SSH_AUTH_SOCK', 'SSH_AGENT_PID', 'GIT_SSH', 'GIT_CONFIG_GLOBAL', 'GIT_SSL_CAINFO']) vi.stubEnv(name, '/owner')
    vi.stubEnv('GIT_SSH_COMMAND', 'ssh -i /owner -o BatchMode=no')
    expect(gitEnvironment(false)).toMatchObject({ SSH_AUTH_SOCK: '/owner', GIT_CONFIG_GLOBAL: '/owner', GIT_SSH_COMMAND: 'ssh -i /owner -o BatchMode=yes' })
    const lent = gitEnvironment(true)
    expect(Object.values(lent).join(' ')).not.toContain('/owner')
    expect(lent).toMatchObject({ GIT_CONFIG_GLOBAL: '/dev/null', GIT_SSH_COMMAND: 'ssh -o ConnectTimeout=15 -o BatchMode=yes' })
    const settings = await runGit(['config', '--get-regexp', '^(http.followredirects|credential.helper)$'], { timeoutMs: 60_000, withoutOwnersAccess: true })
    expect(settings?.stdout.toString()).toMatch(/credential\.helper *\nhttp\.followredirects false\n$/)
  })
})
