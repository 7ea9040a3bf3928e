// A file that appears when it is complete, or not at all.
import { mkdir, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fromSystem } from './errors.ts'

/** A file that is written next to its final path. `commit` syncs it and moves it there, `abandon` removes it. */
export class OutputFile {
  readonly #path: string
  readonly #attempt: string
  readonly #handle: FileHandle

  private constructor(path: string, attempt: string, handle: FileHandle) {
    this.#path = path
    this.#attempt = attempt
    this.#handle = handle
  }

  /** Begins the file `path`; missing directories are made. */
  static async open(path: string): Promise<OutputFile> {
    const attempt = join(dirname(path), `.${basename(path)}.${process.pid}.part`)
    try {
      await mkdir(dirname(path), { recursive: true })
      return new OutputFile(path, attempt, await open(attempt, 'w'))
    } catch (cause) {
      throw fromSystem(cause, 'write', path)
    }
  }

  /** Appends, or writes at `position`. */
  async write(data: string | Uint8Array, position: number | null = null): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    try {
      for (let at = 0; at < bytes.length;) {
        const place = position === null ? null : position + at
        at += (await this.#handle.write(bytes, at, bytes.length - at, place)).bytesWritten
      }
    } catch (cause) {
      throw fromSystem(cause, 'write', this.#path)
    }
  }

  async commit(): Promise<void> {
    try {
      await this.#handle.sync()
      await this.#handle.close()
      await rename(this.#attempt, this.#path)
    } catch (cause) {
      await this.abandon()
      throw fromSystem(cause, 'write', this.#path)
    }
  }

  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => {})
    await rm(this.#attempt, { force: true })
  }
}
