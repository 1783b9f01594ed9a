// An admin sees what an assistant wants to write, approves and refuses, and is asked again if it has changed.
'use strict'

const assert = require('node:assert')

module.exports = async (admin, about) => {
  await admin.signIn()
  const { page } = admin
  await admin.press('Approvals', 'Approvals')
  await admin.sees('Nothing waits for you')
  const paths = []
  for (const [id, subject] of [[1, about.text], [2, 'Second'], [3, 'Third'], [4, 'Never\n'.repeat(200)]]) {
    paths.push(await asks(admin, about, { id, subject }))
  }
  await admin.press('Approvals', 'Approvals')
  await page.getByRole('link', { name: 'Approvals 4 waiting', exact: true }).waitFor()
  await admin.sees('4 requests waiting.')
  await isWithoutHiddenSigns(admin)

  // The keyboard is enough.
  await admin.goto(paths[0], /^update_tickets/)
  await admin.sees('Nothing is written yet.')
  await admin.sees('It would send 1 webhook')
  await isWithoutHiddenSigns(admin)
  await page.getByText('Body').click()
  await admin.look()
  await page.getByRole('button', { name: 'Approve', exact: true }).focus()
  await page.keyboard.press('Enter')
  await page.getByText('Approved. What was shown is done.').waitFor()
  await admin.arrived(/^update_tickets/)
  await page.getByText('Result', { exact: true }).click()
  await admin.look()
  assert.deepEqual(await page.getByRole('button').allInnerTexts(), ['Sign out'])

  await admin.goto(paths[1], /^update_tickets/)
  await admin.press('Refuse', /^update_tickets/)
  await admin.sees('Refused. Nothing was written.')

  // Somebody changes the row while the page is open.
  await admin.goto(paths[2], /^update_tickets/)
  const other = await page.context().newPage()
  await other.goto(paths[2])
  await changesTheRow(admin, about)
  await admin.press('Approve', /^update_tickets/)
  await admin.sees('It has changed since you looked')
  await other.getByRole('button', { name: 'Approve', exact: true }).click()
  await other.getByText('It has changed since you looked').waitFor()
  await admin.press('Approve', /^update_tickets/)
  await admin.sees('Approved. What was shown is done.')
  await other.getByRole('button', { name: 'Approve', exact: true }).click()
  await other.getByText('This was not decided').waitFor()
  await other.close()

  // A long text is folded.
  await admin.goto(paths[3], /^update_tickets/)
  await page.getByText('Show all 1,200 characters').first().click()
  await admin.look()
  await admin.goto('/settings/approvals', 'Approvals')
  await admin.sees('Earlier')
  await admin.goto('/settings/approvals/99999', 'There is nothing here')
}

const call = (admin, about, name, args) =>
  admin.page.request.post('/mcp', {
    headers: { authorization: `Bearer ${about.key}`, 'mcp-protocol-version': '2025-11-25' },
    data: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } },
  })

// Calls a tool that writes, and returns the path of the page where a person decides.
async function asks(admin, about, args) {
  const { result } = await (await call(admin, about, 'update_tickets', args)).json()
  assert.equal(result.structuredContent.status, 'waits_for_approval', JSON.stringify(result))
  return result.structuredContent.url.replace(/^.*(?=\/settings\/)/, '')
}

// Changes the row of the third request as another program would.
async function changesTheRow(admin, about) {
  const answer = await admin.page.request.patch('/api/v1/tickets/3', {
    headers: { authorization: `Bearer ${about.key}`, 'content-type': 'application/merge-patch+json' }, data: { status: 'closed' },
  })
  assert.equal(answer.status(), 200, await answer.text())
}

// No character of the page is unseen, or changes the order of others.
async function isWithoutHiddenSigns(admin) {
  const text = await admin.page.evaluate(() => document.documentElement.textContent)
  assert.ok(!/[\u202A-\u202E\u2066-\u2069\u200B\u{E0000}-\u{E007F}]/u.test(text))
  assert.equal(await admin.page.locator('img, script, iframe, [onerror], [style]').count(), 0)
}
