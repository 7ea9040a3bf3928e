// The site: navigation, offline search, links as GitHub resolves them. Dead links fail the build.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const pages = fileURLToPath(new URL('../pages', import.meta.url))

/** Anchors of headings as GitHub makes them, so that links hold in both places. */
const slugify = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
    .replaceAll(' ', '-')

/** A page's first heading. */
const titleOf = (path) => /^# (.*)$/m.exec(readFileSync(join(pages, path), 'utf8'))?.[1].replaceAll('`', '') ?? path

const item = (path, text = titleOf(path)) => ({ text, link: `/${path.replace(/(index)?\.md$/, '')}` })

/** All pages of a folder except its index, by title. */
const below = (folder) =>
  !existsSync(join(pages, folder))
    ? []
    : readdirSync(join(pages, folder))
        .filter((name) => name.endsWith('.md') && name !== 'index.md')
        .map((name) => item(`${folder}/${name}`))
        .toSorted((a, b) => a.text.localeCompare(b.text))

const api = [
  ['Classes', 'classes', false],
  ['Functions', 'functions', false],
  ['Constants', 'variables', true],
  ['Interfaces', 'interfaces', true],
  ['Types', 'type-aliases', true],
]

/** Pages of the guide in their order; further pages of docs/ follow them. */
const guide = [
  item('index.md', 'Start'),
  item('docs/operations.md'),
  item('docs/cluster.md'),
  item('docs/cli.md'),
  item('docs/options.md'),
  item('docs/corpora.md'),
  item('docs/columns.md'),
  item('docs/report.md'),
  item('docs/models.md', 'Models'),
  item('docs/remote.md'),
  item('docs/errors.md'),
  item('docs/tokenizers.md'),
  item('docs/trainers.md'),
  item('docs/worker.md', 'Workers'),
  item('docs/limits.md', 'Limits'),
  item('docs/glossary.md'),
]
const specifications = [item('docs/planning.md'), item('FORMATS.md')]
const placed = new Set([...guide, ...specifications].map(({ link }) => link))

export default {
  title: 'longweave',
  description: 'Long-context training sequences from short documents',
  srcDir: 'pages',
  outDir: 'dist',
  cacheDir: '.vitepress/cache',
  cleanUrls: false,
  // Files that build.mjs copied: it fails where one is missing.
  ignoreDeadLinks: [/^\/files\//],
  markdown: { anchor: { slugify } },
  // Wide tables take the room of the outline.
  transformPageData(page) {
    if (/^docs\/(?:options|cli|errors)\.md$/.test(page.relativePath)) page.frontmatter.aside = false
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Guide', link: '/' },
      { text: 'Methods', link: '/docs/methods/' },
      { text: 'Options', link: '/docs/options' },
      { text: 'API', link: '/api/' },
    ],
    sidebar: {
      '/api/': [
        { text: 'API', link: '/api/', items: [] },
        ...api
          .map(([text, folder, collapsed]) => ({ text, collapsed, items: below(`api/${folder}`) }))
          .filter(({ items }) => items.length > 0),
      ],
      '/': [
        {
          text: 'Guide',
          items: [...guide, ...below('docs').filter(({ link }) => !placed.has(link))],
        },
        { text: 'Methods', items: [item('docs/methods/index.md', 'Overview'), ...below('docs/methods')] },
        { text: 'Specifications', items: specifications },
        {
          text: 'Measured',
          collapsed: true,
          items: [
            item('benches/index.md'),
            ...['coherence', 'inference', 'queries', 'tokenize'].map((name) => item(`benches/${name}/index.md`)),
            item('fuzz/index.md'),
          ],
        },
        {
          text: 'Project',
          collapsed: true,
          items: [
            item('ARCHITECTURE.md'),
            item('CONTRIBUTING.md'),
            item('CHANGELOG.md'),
            item('tools/export/index.md', 'Exporter'),
            item('models/doc2query-mini/index.md'),
          ],
        },
        {
          text: 'Design decisions',
          collapsed: true,
          items: [item('docs/decisions/index.md', 'Overview'), ...below('docs/decisions')],
        },
      ],
    },
  },
}
