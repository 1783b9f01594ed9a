// A visitor with a browser. Each page that the visitor comes to is looked at: it must have one heading and fit on a small
// screen and, if asked to, axe looks for faults in light and dark. Nothing may be refused by the policy of the pages, no
// script may run, and nothing may be asked of another server.
'use strict'

const assert = require('node:assert')
const fs = require('node:fs')
const { chromium } = require('playwright-core')

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const PROGRAM = process.env.HYDRA_CHROMIUM || '/usr/bin/chromium'
const PATIENCE = 60_000
const SMALL = { width: 360, height: 800 }
const LARGE = { width: 1440, height: 900 }

const launch = () =>
  chromium.launch({
    executablePath: PROGRAM,
    timeout: PATIENCE,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  })

class Visitor {
  constructor(browser, about) {
    Object.assign(this, { browser, about, faults: [], looked: new Set() })
  }

  // Opens the browser with the link of this visitor, and signs in.
  async signIn() {
    await this.open()
    await this.goto(this.about.link, 'Sign in to the settings')
    await this.press('Sign in', 'Webhooks')
    assert.equal(new URL(this.page.url()).pathname, '/settings/webhooks')
  }

  async open() {
    const context = await this.browser.newContext({
      baseURL: this.about.url, viewport: LARGE, javaScriptEnabled: this.about.scripts !== false,
    })
    this.page = await context.newPage()
    this.page.setDefaultTimeout(PATIENCE)
    const fault = (what) => this.faults.push(`${this.page.url()}: ${what}`)
    this.page.on('dialog', (dialog) => { fault(`a script ran: ${dialog.message()}`); dialog.dismiss() })
    this.page.on('pageerror', (error) => fault(error.message))
    this.page.on('console', (message) => {
      // Forms that are refused have the status 422 or 409.
      const isStatus = /status of 4\d\d/.test(message.text())
      if (['error', 'warning'].includes(message.type()) && !isStatus) fault(message.text())
    })
    this.page.on('request', (request) => {
      const isOwn = request.url().startsWith(this.about.url) || request.url().startsWith('data:')
      if (!isOwn) fault(`asks ${request.url()}`)
    })
  }

  async goto(path, heading) {
    await this.page.goto(path)
    await this.arrived(heading)
  }

  // Follows a link or presses a button, by its name, and comes to a page with this heading.
  async press(name, heading, within = this.page) {
    const named = { name, exact: true }
    await within.getByRole('button', named).or(within.getByRole('link', named)).first().click()
    await this.arrived(heading)
  }

  async arrived(heading) {
    const title = this.page.getByRole('heading', { level: 1, name: heading })
    await title.waitFor()
    // The heading comes before the rest of the page.
    await this.page.waitForLoadState()
    assert.equal(await this.page.locator('h1').count(), 1)
    await this.look()
  }

  // Looks at a page. One that looks the same as one before, with other numbers, is not looked at again.
  async look() {
    const page = this.page
    const shape = await page.evaluate(() => document.body.innerText.replace(/[\d\s]+/g, ' ') + document.title)
    if (this.looked.has(shape)) return
    this.looked.add(shape)
    await page.setViewportSize(SMALL)
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    if (over > 0) this.faults.push(`${page.url()}: ${over} px too wide`)
    await page.setViewportSize(LARGE)
    if (!this.about.axe) return
    await page.evaluate(AXE)
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      // All that differs in dark is colours.
      const rules = colorScheme === 'dark' ? { runOnly: ['color-contrast'] } : {}
      const { passes, violations } = await page.evaluate((rules) => window.axe.run(rules), rules)
      assert.ok(passes.some((rule) => rule.id === 'color-contrast'), 'axe has looked')
      for (const { id, nodes } of violations) {
        const where = nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\n')
        this.faults.push(`${page.url()}: ${id} (${colorScheme}): ${where}`)
      }
    }
  }

  // Fails unless the page has this text, which a person can see.
  async sees(text) {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor()
  }

  fill(label, value) {
    return this.page.getByLabel(label, { exact: true }).fill(value)
  }

  // The error at a field, and the link to the field above the form.
  async isRefused(label, message) {
    const field = this.page.getByLabel(label, { exact: true })
    assert.equal(await field.getAttribute('aria-invalid'), 'true')
    const ids = (await field.getAttribute('aria-describedby')).split(' ')
    assert.match(await this.page.locator(`[id="${ids[0]}"]`).innerText(), message)
    const link = this.page.getByRole('alert').getByRole('link', { name: label, exact: true })
    await link.click()
    assert.equal(new URL(this.page.url()).hash, `#${await field.getAttribute('id')}`)
    assert.match(await this.page.title(), /^Error: /)
  }

  async end() {
    assert.ok(this.faults.length === 0, this.faults.join('\n'))
    assert.ok(this.looked.size > 2, 'pages were looked at')
  }
}

module.exports = { Visitor, launch }
