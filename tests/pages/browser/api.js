// The page about the API: a browser that comes without a key enters one, and sees what it can do.
'use strict'

const assert = require('node:assert')

module.exports = async (visitor, about) => {
  await visitor.open()
  await visitor.goto('/api/v1/', 'This is an API')
  await visitor.fill('API key', 'hyk_wrong')
  await visitor.press('Show what it can do', 'This is an API')
  for (const [key, seen, unseen] of [[about.all, 'ticket.created', '/secrets'], [about.one, 'GET', 'PATCH']]) {
    await visitor.goto('/api/v1/', 'This is an API')
    await visitor.fill('API key', key)
    await visitor.press('Show what it can do', /^API of /)
    await visitor.sees(seen)
    assert.equal(await visitor.page.getByText(unseen, { exact: true }).count(), 0)
    assert.ok(!visitor.page.url().includes('hyk_') && !(await visitor.page.content()).includes(key))
    // Each link beside the page leads to a part of it.
    for (const link of await visitor.page.getByRole('navigation').getByRole('link').all()) {
      const target = await link.getAttribute('href')
      assert.equal(await visitor.page.locator(`[id="${target.slice(1)}"]`).count(), 1, target)
    }
    for (const summary of await visitor.page.locator('summary').all()) await summary.click()
    await visitor.look()
  }
}
