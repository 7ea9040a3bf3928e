// The token of a Ray cluster, from the places where Ray's own tools look for it. It is sent in a header, and stored nowhere.
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { LongweaveError } from './errors.ts'

/** A token and the place that it comes from. */
export interface Token {
  value: string
  from: string
}

/**
 * The token of RAY_AUTH_TOKEN, of the file that RAY_AUTH_TOKEN_PATH names, or of ~/.ray/auth_token; null where there is none.
 * @throws LongweaveError `ENGINE_DENIED` where the file cannot be read, or the token cannot be sent
 */
export function findToken(environment: NodeJS.ProcessEnv = process.env, home: string = homedir()): Token | null {
  const given = environment['RAY_AUTH_TOKEN']?.trim()
  if (given) return checked({ value: given, from: 'RAY_AUTH_TOKEN' })
  const named = environment['RAY_AUTH_TOKEN_PATH']
  const path = named || join(home, '.ray', 'auth_token')
  if (!named && !existsSync(path)) return null
  try {
    const value = readFileSync(path, 'utf8').trim()
    return value === '' ? null : checked({ value, from: path })
  } catch (cause) {
    if (cause instanceof LongweaveError) throw cause
    const message = `the file of the Ray token ${path} cannot be read: ${(cause as Error).message}`
    throw new LongweaveError('ENGINE_DENIED', message, { file: path }, { cause })
  }
}

function checked(token: Token): Token {
  if (/^[\x21-\x7e]+$/.test(token.value)) return token
  throw new LongweaveError('ENGINE_DENIED', `the Ray token of ${token.from} has characters that a header cannot hold`)
}
