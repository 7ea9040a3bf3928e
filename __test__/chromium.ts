// The Chromium of the tests of pages. They run in the full tier.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'
import { full } from './support.ts'

const places = [
  process.env['LONGWEAVE_CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
const executablePath = places.find((path) => path !== undefined && existsSync(path))
const required = process.env['LONGWEAVE_REQUIRE_DATA'] === '1'

/** Whether tests in a browser run; where they must and none is found, `launch` throws. */
export const inBrowser = full && (executablePath !== undefined || required)

/** Why they do not, for the names of skipped tests. */
export const whenSkipped =
  'skipped except with LONGWEAVE_FULL=1, and where Chromium is missing: apt-get install chromium, or name it in LONGWEAVE_CHROMIUM'

/** A browser; the caller closes it. */
export async function launch(): Promise<Browser> {
  if (executablePath === undefined)
    throw new Error('no Chromium was found: apt-get install chromium, or name it in LONGWEAVE_CHROMIUM')
  return await chromium.launch({ executablePath, args: ['--no-sandbox'] })
}
