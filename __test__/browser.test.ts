// The report's page in a browser, as a person meets it: what it shows, by mouse and by keyboard, in light and dark, and that it does nothing else.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { report } from '../ts/index.ts'
import { inBrowser, launch, whenSkipped } from './chromium.ts'
import { madeReport, writeReport } from './reports.ts'
import { folder } from './support.ts'

/** The focused element: its label, or its kind. */
const focused = (shown: Page) =>
  shown.evaluate(
    'document.activeElement.getAttribute("aria-label") ?? document.activeElement.tagName',
  ) as Promise<string>
/** The page's colour. */
const ground = (shown: Page) => shown.evaluate('getComputedStyle(document.body).backgroundColor') as Promise<string>

/** Presses Tab until `there` has the focus. */
async function tabTo(there: Locator): Promise<void> {
  for (let i = 0; i < 150; i += 1) {
    await there.page().keyboard.press('Tab')
    if (await there.evaluate((element) => element === element.ownerDocument.activeElement)) return
  }
  throw new Error('Tab does not lead there')
}

describe.skipIf(!inBrowser)(`the report in Chromium (${whenSkipped})`, () => {
  const directory = folder()
  const methods = ['standard', 'knn', 'iclm', 'quest'] as const
  const reports = methods.map((method, i) => madeReport(method, { seed: i + 1, browse: 3 }))
  const outputs = reports.map((made) => writeReport(join(directory, made.method), made))
  let browser: Browser
  let page: Page
  /** Requests of pages, and their errors and warnings. */
  let requests: string[] = []
  let complaints: string[] = []

  async function opened(
    name: string,
    paths: string[],
    options: { width?: number; colorScheme?: 'light' | 'dark' } = {},
  ): Promise<Page> {
    const out = join(directory, `${name}.html`)
    await report(paths, { out })
    const { width = 1280, colorScheme = 'light' } = options
    const shown = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
    requests = []
    complaints = []
    shown.on('request', (request) => requests.push(request.url()))
    shown.on('console', (message) => complaints.push(message.text()))
    shown.on('pageerror', (error) => complaints.push(error.message))
    await shown.goto(pathToFileURL(out).href)
    await shown.locator('figure svg').first().waitFor()
    return shown
  }

  beforeAll(async () => {
    browser = await launch()
    page = await opened('runs', outputs)
  })
  afterAll(() => browser?.close())

  test('it shows every run, measure and plot, asks for nothing but itself and complains of nothing', async () => {
    expect(await page.title()).toBe('longweave report: standard, knn, iclm, quest')
    for (const method of methods)
      expect(await page.locator('.cards').getByText(method, { exact: true }).count()).toBe(1)
    const titles = [
      'Similarity and near-duplicates',
      'Distinct n-grams',
      'Similarity, sequence by sequence',
      'Near-duplicates, sequence by sequence',
      'Documents a sequence',
      'Groups a sequence',
      'Why documents are together',
      'Uses of a document',
      'Destination of tokens',
      'Keyword lists: quest',
      'Sources',
    ]
    expect(await page.locator('figure h3').allTextContents()).toEqual(titles)
    for (const figure of await page.locator('figure').all())
      expect(await figure.locator('svg[role=img]').count()).toBeGreaterThan(0)
    expect(await page.locator('.measures tbody tr', { hasText: 'near-duplicates' }).locator('td').count()).toBe(4)
    expect(requests).toEqual([page.url()])
    expect(complaints).toEqual([])
  })

  test('a run has one colour in all plots', async () => {
    for (const title of [
      'Similarity and near-duplicates',
      'Distinct n-grams',
      'Documents a sequence',
      'Why documents are together',
    ]) {
      const name = page
        .locator('figure', { has: page.getByRole('heading', { name: title, exact: true }) })
        .locator('svg text', { hasText: /^quest$/ })
      expect(
        await name.first().evaluate((element) => element.closest('[fill^="var"]')?.getAttribute('fill')),
        title,
      ).toBe('var(--run-3)')
    }
  })

  test('a measure says what it is when it is opened', async () => {
    const row = page.locator('.measures tr', { hasText: 'distinct-2' })
    expect(await row.locator('p').isVisible()).toBe(false)
    await row.locator('summary').press('Enter')
    expect(await row.locator('p').textContent()).toContain('Share of distinct pairs')
    expect(await row.locator('p').isVisible()).toBe(true)
  })

  test('without a mouse: Tab to a band, arrows along it, Enter for the text, the next sequence', async () => {
    const quest = page.getByRole('listbox', { name: /of quest$/ })
    const pieces = reports[3]?.browse[0]?.pieces ?? []
    await tabTo(quest.getByRole('option').first())
    expect(await focused(page)).toContain(`${pieces[0]?.docId}: keyword ${pieces[0]?.reason}`)
    await page.keyboard.press('ArrowLeft')
    expect(await focused(page)).toContain(String(pieces[0]?.docId))
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowRight')
    expect(await focused(page)).toContain(String(pieces[2]?.docId))
    expect(await page.locator('.strip').last().locator('.about').textContent()).toContain(String(pieces[2]?.docId))
    expect(
      await quest
        .getByRole('option')
        .nth(2)
        .locator('rect')
        .first()
        .evaluate((element) => element.ownerDocument.defaultView?.getComputedStyle(element).strokeWidth),
    ).toBe('3px')
    await page.keyboard.press('Enter')
    const open = page.locator('.reader article.open')
    expect(await open.locator('.text').textContent()).toBe(pieces[2]?.text)
    expect(await page.locator('.reader article').count()).toBe(pieces.length)
    const [pane, article] = [await page.locator('.reader').boundingBox(), await open.boundingBox()]
    expect(article?.y).toBeGreaterThanOrEqual(pane?.y ?? 0)
    expect(article?.y).toBeLessThan((pane?.y ?? 0) + (pane?.height ?? 0))
    expect(await quest.getByRole('option', { selected: true }).count()).toBe(1)
    expect(await focused(page)).toContain(String(pieces[2]?.docId))
    await page.keyboard.press('End')
    expect(await focused(page)).toContain(String(pieces.at(-1)?.docId))
    await page.keyboard.press('Shift+Tab')
    expect(await focused(page)).toBe('Next sequence of quest')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    expect(await focused(page)).toContain(String(reports[3]?.browse[1]?.pieces[0]?.docId))
    expect(complaints).toEqual([])
  })

  test('by mouse: a band tells on the way and opens at a click; the choice changes the sequence', async () => {
    const strip = page.locator('.strip').first()
    const pieces = reports[0]?.browse[2]?.pieces ?? []
    await strip.locator('select').selectOption({ index: 2 })
    await strip
      .getByRole('option', { name: /tokens/ })
      .nth(1)
      .locator('rect')
      .first()
      .hover()
    expect(await strip.locator('.about').textContent()).toContain(String(pieces[1]?.docId))
    await strip
      .getByRole('option', { name: /tokens/ })
      .nth(1)
      .click()
    expect(await page.locator('.reader article.open h4').textContent()).toBe(pieces[1]?.docId)
  })

  test('dark as the system says, or as the button is set', async () => {
    const dark = await opened('dark', outputs, { colorScheme: 'dark' })
    const [light, night] = [await ground(page), await ground(dark)]
    expect(night).not.toBe(light)
    const button = dark.getByRole('button', { name: /^Theme/ })
    await button.click()
    expect([await button.textContent(), await ground(dark)]).toEqual(['Theme: light', light])
    await button.click()
    expect([await button.textContent(), await ground(dark)]).toEqual(['Theme: dark', night])
    await dark.emulateMedia({ media: 'print' })
    expect(await dark.evaluate('getComputedStyle(document.documentElement).colorScheme')).toBe('light')
    await dark.close()
  })

  test.each([420, 800, 1600])('in a window of %i pixels nothing is wider than the window', async (width) => {
    const shown = await opened('narrow', outputs, { width })
    expect(await shown.evaluate('document.documentElement.scrollWidth - window.innerWidth')).toBeLessThanOrEqual(0)
    await shown.close()
  })

  test('what a corpus holds is text wherever it stands, and nothing of it is executed', async () => {
    const harmful = methods.map((method, i) => madeReport(method, { seed: i + 5, browse: 2, harm: true }))
    const shown = await opened(
      'harm',
      harmful.map((made, i) =>
        writeReport(join(directory, `harm-${i}`), {
          ...made,
          method: `${made.method}</script><script>window.hostile = 3</script>`,
        }),
      ),
    )
    const pieces = harmful[3]?.browse[0]?.pieces ?? []
    for (const index of pieces.keys())
      await shown
        .locator('.strip')
        .last()
        .getByRole('option', { name: /tokens/ })
        .nth(index)
        .press('Enter')
    // Half a character does not come through whole.
    expect(await shown.locator('.reader .text').allTextContents()).toEqual(
      pieces.map(({ text }) => Buffer.from(text ?? '').toString()),
    )
    expect(await shown.evaluate('window.hostile')).toBeUndefined()
    expect(await shown.locator('img').count()).toBe(0)
    expect(requests).toEqual([shown.url()])
    expect(complaints).toEqual([])
    await shown.close()
  })

  test('a run without pairs, keywords, sources or sequences to read is shown all the same', async () => {
    const none = { mean: null, values: [null, null] }
    const bare = {
      ...madeReport('standard', { browse: 0 }),
      sources: null,
      sample: { sequences: 2, similarity: none, nearDuplicates: none, distinct: [] },
    }
    const shown = await opened('bare', [writeReport(join(directory, 'bare'), bare)])
    expect(await shown.locator('.measures tr', { hasText: 'similarity' }).locator('td').first().textContent()).toBe('–')
    expect(await shown.getByText('No sequences to read.').count()).toBe(1)
    expect(complaints).toEqual([])
    await shown.close()
  })

  test('it says how many sequences were left out', async () => {
    const large = writeReport(join(directory, 'large'), madeReport('quest', { browse: 100, textBytes: 25_000 }))
    const shown = await opened('large', [large])
    const options = await shown.locator('select option').count()
    expect(await shown.locator('.notice').textContent()).toBe(
      `Left out to keep the page below 20 MB: ${100 - options} sequences of quest (${options} are here).`,
    )
    await shown.close()
  })
})
