// A member sees the pages, and nothing on them can be pressed but links.
'use strict'

const assert = require('node:assert')

module.exports = async (member, about) => {
  await member.signIn()
  const sections = member.page.getByRole('navigation').getByRole('link')
  assert.deepEqual(await sections.allInnerTexts(), ['Webhooks', 'Inbound adapters', 'Flows', 'Event types', 'Status'])
  assert.equal((await member.page.request.post(about.adapter, { data: { type: 'ticket', id: 7 } })).status(), 200)
  const pages = [
    ['/settings/webhooks', 'Webhooks'],
    [`/settings/webhooks/${about.failing}`, 'CRM'],
    [`/settings/webhooks/${about.disabled}`, 'Slack bridge'],
    ['/settings/inbound-adapters', 'Inbound adapters'],
    ['/settings/inbound-adapters/1', 'Curl'],
    ['/settings/inbound-adapters/1/events/1', 'ticket'],
    ['/settings/flows', 'Flows'],
    ['/settings/flows/1', 'Open a ticket'],
    ['/settings/event-types', 'Event types'],
    ['/settings/status', 'Status'],
  ]
  for (const [path, heading] of pages) {
    await member.goto(path, heading)
    assert.deepEqual(await member.page.getByRole('button').allInnerTexts(), ['Sign out'], path)
    assert.equal(await member.page.locator('form').count(), 1, path)
    const links = await member.page.locator('main a').evaluateAll((all) => all.map((link) => link.getAttribute('href')))
    assert.ok(links.every((link) => /^\/settings\/(webhooks|inbound-adapters|flows)(\/\d+)?(\/events\/\d+)?$/.test(link)), `${path}: ${links}`)
  }
  assert.ok(!(await member.page.content()).includes('/down'), 'a path may be the credential of an endpoint')
  for (const page of ['new', `${about.failing}/edit`, `${about.failing}/rotate`, `${about.failing}/delete`]) {
    await member.goto(`/settings/webhooks/${page}`, 'You may not do this')
  }
  for (const page of ['new', '1/edit', '1/try', '1/rotate-url', '1/rotate-secret', '1/delete']) {
    await member.goto(`/settings/inbound-adapters/${page}`, 'You may not do this')
  }
  // Without the buttons, by hand.
  for (const action of ['pause', 'test', 'retry', 'delete']) {
    const answer = await member.page.request.post(`/settings/webhooks/${about.failing}/${action}`, {
      headers: { origin: about.url }, maxRedirects: 0,
    })
    assert.equal(answer.status(), 403, action)
  }
}
