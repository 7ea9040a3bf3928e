// The built documentation site in a browser: pages, search and the API reference work without any other server.
import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inBrowser, launch, whenSkipped } from './chromium.ts'
import { root } from './support.ts'

const dist = join(root, 'site', 'dist')
const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}

describe.skipIf(!inBrowser)(`the site in Chromium (${whenSkipped})`, () => {
  let server: Server
  let browser: Browser
  let page: Page
  let origin: string
  const requests: string[] = []
  const errors: string[] = []

  beforeAll(async () => {
    if (!existsSync(join(dist, 'index.html'))) throw new Error('the site is not built: npm run site')
    server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://site').pathname.replace(/\/$/, '/index.html')
      const file = join(dist, path)
      if (!existsSync(file)) {
        response.writeHead(404).end()
        return
      }
      response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' })
      createReadStream(file).pipe(response)
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    browser = await launch()
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    page.on('request', (request) => requests.push(request.url()))
    page.on('response', (response) => {
      if (response.status() >= 400) errors.push(`${response.status()} ${response.url()}`)
    })
    page.on('pageerror', (error) => errors.push(error.message))
  })
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  test('every page of the sidebars opens, with its own heading', async () => {
    for (const start of ['/', '/api/']) {
      await page.goto(origin + start)
      const links = await page.locator('.VPSidebar a').evaluateAll((all) => all.map((a) => a.getAttribute('href')))
      expect(links.length).toBeGreaterThan(20)
      for (const link of links) {
        const html = await (await fetch(origin + link)).text()
        expect(html.match(/<h1/g)?.length, String(link)).toBe(1)
      }
    }
    expect(errors).toEqual([])
  })

  test('search finds an option, and asks no other server', async () => {
    await page.goto(`${origin}/`)
    await page.getByRole('button', { name: 'Search' }).first().click()
    await page.locator('.VPLocalSearchBox input').fill('oversample')
    const first = page.locator('.VPLocalSearchBox .result').first()
    await first.waitFor()
    expect(await first.textContent()).toMatch(/Quest|Options|Partition/)
    expect(requests.filter((url) => !url.startsWith(origin) && !url.startsWith('data:'))).toEqual([])
    expect(errors).toEqual([])
  })
})
