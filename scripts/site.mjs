// The documentation site in site/dist: installs the packages of site/ where they changed, then builds. A dead link fails the build.
import { run, setUp, whenChanged } from './setup.mjs'

setUp()
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
const packages = ['site/package.json', 'site/package-lock.json']
whenChanged('site', packages, 'site/node_modules/.package-lock.json', () =>
  run("Installing the site's packages", npm, ['--prefix', 'site', 'ci', '--no-audit', '--no-fund']),
)
run('Building the site', npm, ['--prefix', 'site', 'run', '--silent', 'build'])
