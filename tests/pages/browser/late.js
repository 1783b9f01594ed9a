// A form that is sent twice, and one that was made before somebody else's change.
'use strict'

const assert = require('node:assert')

module.exports = async (admin, about) => {
  await admin.signIn()
  await admin.press('New webhook', 'New webhook')
  await admin.fill('URL', about.endpoint)
  await admin.page.getByLabel(/^ticket.created/).check()
  await admin.press('Create webhook', 'Webhook created')
  // As a browser does that sends the form again, after a click on "reload".
  admin.page.on('dialog', () => assert.fail('no question'))
  await admin.page.reload()
  await admin.arrived('New webhook')
  await admin.sees('This form was sent already.')

  const edit = `/settings/webhooks/${about.failing}/edit`
  await admin.goto(edit, 'Edit webhook')
  const other = await admin.page.context().newPage()
  await other.goto(edit)
  await other.getByLabel('Name', { exact: true }).fill('First')
  await other.getByRole('button', { name: 'Save changes' }).click()
  await other.getByText('The changes are saved.').waitFor()
  await other.close()
  await admin.fill('Name', 'Second')
  await admin.press('Save changes', 'Edit webhook')
  await admin.sees('This webhook was changed by somebody else.')
  assert.equal(await admin.page.getByLabel('Name', { exact: true }).inputValue(), 'Second')
}
