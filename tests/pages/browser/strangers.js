// Names, descriptions, answers and errors that strangers have written are shown as texts.
'use strict'

const assert = require('node:assert')

module.exports = async (admin, about) => {
  const { text } = about
  const shows = async (path, heading, texts) => {
    await admin.goto(path, heading)
    await isOnlyText(admin, texts)
  }
  await admin.signIn()
  await isOnlyText(admin, [text])
  const webhook = `/settings/webhooks/${about.failing}`
  await shows(webhook, text, [text, '<img src=x onerror=alert(3)>'])
  for (const [page, heading] of [
    ['edit', 'Edit webhook'], ['preview', 'Preview'], ['rotate', 'Rotate the signing secret'], ['delete', 'Delete this webhook?'],
  ]) {
    await shows(`${webhook}/${page}`, heading, [text])
  }
  await shows('/settings/event-types', 'Event types', [text])
  await shows('/settings/api-keys', 'API keys', [text])
  await shows('/settings/api-keys/1/rotate', /Rotate the key/, [text])
  await shows('/settings/api-keys/1/revoke', /Revoke the key/, [text])

  await strangeEvents(admin, about, shows)

  // What is sent in a form comes back in the fields and in the errors.
  await admin.goto('/settings/webhooks/new', 'New webhook')
  await admin.page.getByText('More settings').click()
  const fields = ['URL', 'Name', 'Time limit', 'Delays before retries', 'Filter', 'Tenant', 'Headers']
  for (const field of fields) await admin.fill(field, text)
  await admin.press('Create webhook', 'New webhook')
  await isOnlyText(admin, [])
  for (const field of fields.filter((field) => field !== 'Headers')) {
    assert.equal(await admin.page.getByLabel(field, { exact: true }).inputValue(), text, field)
  }
  await admin.goto('/settings/api-keys/new', 'New API key')
  for (const field of ['Name', 'Scope of a resource, 1', 'Tenant']) await admin.fill(field, text)
  await admin.press('Create key', 'New API key')
  await isOnlyText(admin, [])
  await admin.goto(`${webhook}/preview`, 'Preview')
  await admin.fill('Entity', JSON.stringify({ id: text }))
  await admin.press('Show preview', 'Preview')
  await isOnlyText(admin, ['<script>alert(2)</script>'])
  await admin.goto(`/settings/webhooks?done=${encodeURIComponent(text)}`, 'Webhooks')
  await isOnlyText(admin, [text])
}

// Events with such texts, of an adapter and a flow with such names.
async function strangeEvents(admin, about, shows) {
  const { text } = about
  const adapter = '/settings/inbound-adapters/1'
  for (const type of [text, `${text} too`]) {
    assert.equal((await admin.page.request.post(about.adapter, { data: { type, id: text } })).status(), 200)
  }
  await shows('/settings/inbound-adapters', 'Inbound adapters', [text])
  await shows(adapter, text, [text, 'only in testing'])
  await shows(`${adapter}/events/1`, text, [text])
  for (const [page, heading] of [
    ['edit', 'Edit adapter'], ['try', 'Try a request'], ['rotate-url', 'Rotate the URL'],
    ['rotate-secret', 'Replace the signing secret'], ['delete', 'Delete this adapter?'],
  ]) {
    await shows(`${adapter}/${page}`, heading, [text])
  }
  await shows('/settings/flows', 'Flows', [text])
  await shows('/settings/flows/1', text, [text])
  await shows('/settings/flows/1/delete', 'Delete this flow?', [text])
  await admin.goto('/settings/inbound-adapters/new', 'New adapter')
  for (const field of ['Name', 'External event 1', 'Signing secret']) await admin.fill(field, text)
  await admin.press('Create adapter', 'New adapter')
  await isOnlyText(admin, [])
  assert.equal(await admin.page.getByLabel('External event 1', { exact: true }).inputValue(), text)
  assert.equal(await admin.page.getByLabel('Signing secret', { exact: true }).inputValue(), '')
}

// The page has the texts, and no element that is made of them.
async function isOnlyText(admin, texts) {
  const shown = await admin.page.evaluate(() => document.documentElement.textContent)
  for (const text of texts) assert.ok(shown.includes(text), `${admin.page.url()} does not show ${text}`)
  assert.equal(await admin.page.locator('img, script, iframe, object, embed, style, [onerror], [style]').count(), 0)
}
