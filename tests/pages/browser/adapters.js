// An admin makes an adapter, finds out why events do nothing, deploys the flow, and removes both.
'use strict'

const assert = require('node:assert')

module.exports = async (admin) => {
  await admin.signIn()
  const url = await makesAnAdapter(admin)
  await findsOutWhyItRefuses(admin, url)
  await deploysTheFlow(admin, url)
  const newUrl = await replacesUrlAndSecret(admin)
  await usesTheFlow(admin, newUrl)
  await admin.press('Inbound adapters', 'Inbound adapters')
  await admin.press('GitHub issues', 'GitHub issues')
  await admin.press('Delete', 'Delete this adapter?')
  await admin.press('Keep it', 'GitHub issues')
  await admin.press('Delete', 'Delete this adapter?')
  await admin.press('Delete adapter', 'Inbound adapters')
  await admin.sees('The adapter is deleted.')
}

const send = async (admin, url, data) => (await admin.page.request.post(url, { data })).status()

async function makesAnAdapter(admin) {
  const { page } = admin
  await admin.press('Inbound adapters', 'Inbound adapters')
  await admin.sees('No inbound adapters yet')
  await admin.press('New adapter', 'New adapter')
  await page.getByLabel('Provider', { exact: true }).selectOption('GitHub')
  await admin.sees('enter the URL, the content type application/json')
  await admin.press('Create adapter', 'New adapter')
  await admin.isRefused('Name', /must not be empty/)
  await admin.sees('Choose the event that every type becomes')
  await page.getByLabel('Becomes event 2', { exact: true }).selectOption('ticket.resolved')
  await admin.press('Add rows', 'New adapter')
  assert.equal(await page.getByLabel(/^External event/).count(), 5)
  assert.equal(await page.getByLabel('Becomes event 2', { exact: true }).inputValue(), 'ticket.resolved')
  await admin.fill('External event 1', 'issues.opened')
  await page.getByLabel('Becomes event 1', { exact: true }).selectOption('ticket.created')
  await page.getByText('Entity and tenant of row 1').click()
  await admin.fill('Path of the entity of row 1', '$.issue')
  await page.getByText('More settings').click()
  await admin.fill('Time for flows before the answer', '5 s')
  await admin.fill('Signing secret', 'geheim-123')
  await admin.fill('Name', 'GitHub issues')
  // The key creates, and does not add rows.
  await page.getByLabel('Name', { exact: true }).press('Enter')
  await admin.arrived('Adapter created')
  const url = await page.locator('.secret code').innerText()
  assert.match(url, /\/in\/hyi_/)
  await admin.press('Go to the adapter', 'GitHub issues')
  const content = await page.content()
  assert.ok(!content.includes(url) && !content.includes('geheim-123'), 'a URL is shown once, a secret never')
  return url
}

async function findsOutWhyItRefuses(admin, url) {
  const { page } = admin
  assert.equal(await send(admin, url, { type: 'issues.opened', issue: { id: 6 } }), 401)
  await page.reload()
  await admin.sees('The last request was refused')
  const refused = page.getByRole('region', { name: 'Refused requests' })
  await refused.getByText('What was sent').click()
  await admin.look()
  await refused.getByRole('link', { name: /^Try again/ }).click()
  await admin.arrived('Try a request')
  await admin.press('Try', 'Try a request')
  await admin.sees('It would stop at: signature')
  await page.getByText('Query, and another scheme').click()
  await admin.fill('Own scheme', '{"type": [{"path": "$.type"}]}')
  await admin.press('Try', 'Try a request')
  await admin.sees('It would be accepted')
  await page.getByLabel('Request', { exact: true }).selectOption('Headers and body below')
  await admin.fill('Headers', 'nothing')
  await admin.press('Try', 'Try a request')
  await admin.isRefused('Headers', /needs a name, a colon and a value/)
  await admin.press('Back', 'GitHub issues')
}

async function deploysTheFlow(admin, url) {
  const { page } = admin
  await admin.press('Edit', 'Edit adapter')
  assert.equal(await page.getByLabel('Path of the entity of row 2', { exact: true }).inputValue(), '$.issue')
  await page.getByLabel('Provider', { exact: true }).selectOption('Any system')
  await admin.press('Save changes', 'GitHub issues')
  await admin.sees('The changes are saved.')
  assert.equal(await send(admin, url, { type: 'issues.opened', issue: { id: 7 } }), 200)
  await page.reload()
  await admin.sees('only in testing')
  await admin.sees('Why recent events did nothing')
  await page.getByText('Numbers of each hour').click()
  await admin.look()
  await admin.press('Deploy Open a ticket', 'GitHub issues')
  await admin.sees('Deployed. The flow runs from the next event on.')
  await admin.press('issues.opened', 'issues.opened')
  await admin.sees('No flow has run')
  await admin.press('Process again', 'issues.opened')
  await admin.sees('The event is being processed again.')
  for (let times = 0; times < 300 && (await page.locator('h1 .good').count()) === 0; times++) {
    await page.waitForTimeout(100)
    await page.reload()
  }
  await admin.arrived(/Done/)
  await page.getByText('Result').first().click()
  await admin.look()
  await admin.press('GitHub issues', 'GitHub issues')
  await admin.press('Pause', 'GitHub issues')
  await admin.sees('Requests are answered with status 503 until you resume it.')
  assert.equal(await send(admin, url, {}), 503)
  await admin.press('Resume', 'GitHub issues')
  await admin.sees('Resumed. Requests are accepted again.')
}

async function replacesUrlAndSecret(admin) {
  await admin.press('Rotate URL', 'Rotate the URL')
  await admin.fill('Overlap', 'soon')
  await admin.press('Make a new URL', 'Rotate the URL')
  await admin.isRefused('Overlap', /write it like 8 s/)
  await admin.fill('Overlap', '1 day')
  await admin.press('Make a new URL', 'New URL')
  const url = await admin.page.locator('.secret code').innerText()
  await admin.sees('The old URL works for another 1 day')
  await admin.press('Go to the adapter', 'GitHub issues')
  await admin.press('Replace secret', 'Replace the signing secret')
  await admin.press('Save the secret', 'Replace the signing secret')
  await admin.isRefused('Signing secret', /must not be empty/)
  await admin.fill('Signing secret', 'geheim-456')
  await admin.press('Save the secret', 'GitHub issues')
  await admin.sees('The secret is replaced.')
  return url
}

async function usesTheFlow(admin, url) {
  const { page } = admin
  await admin.press('Flows', 'Flows')
  await page.getByText('Create a flow').click()
  await admin.sees('CREATE FUNCTION public.open_ticket')
  await admin.look()
  await admin.press('Open a ticket', 'Open a ticket')
  await admin.press('Back to testing', 'Open a ticket')
  await admin.sees('Only in testing')
  assert.equal(await send(admin, url, { type: 'issues.opened', issue: { id: 8 } }), 200)
  const rehearsed = page.getByText('It would write')
  for (let times = 0; times < 300 && (await rehearsed.count()) === 0; times++) {
    await page.waitForTimeout(100)
    await page.reload()
  }
  await admin.sees('public.opened')
  await admin.look()
  await admin.press('Pause', 'Open a ticket')
  await admin.sees('Paused. The flow no longer runs.')
  await admin.press('Deploy', 'Open a ticket')
  await admin.press('Delete', 'Delete this flow?')
  await admin.press('Keep it', 'Open a ticket')
  await admin.press('Delete', 'Delete this flow?')
  await admin.press('Delete flow', 'Flows')
  await admin.sees('No flows yet')
}
