// Verifies signatures with the code that the product page *Webhooks* prints for Node.
//
// Reads one JSON object {"body", "headers", "secret"} per line, with the names of headers in lower case, and answers
// each with a line, `ok` or `refused`.

// ---- Exactly as printed, since customers have copied it --------------------------------------------------------------
const crypto = require('crypto')
function verify(rawBody, header, secret) {
const parts = Object.fromEntries(header.split(',').map((kv) => kv.split('=')))
const expected = crypto.createHmac('sha256', secret).update(`${parts.t}.${rawBody}`).digest()
const provided = Buffer.from(parts.v1, 'hex')
if (provided.length !== expected.length) return false
if (!crypto.timingSafeEqual(provided, expected)) return false
if (Math.abs(Date.now() / 1000 - Number(parts.t)) > 300) return false
return true
}
// ---- End of the printed code ----------------------------------------------------------------------------------------------

const lines = require('readline').createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const { body, headers, secret } = JSON.parse(line)
  process.stdout.write(verify(body, headers['x-hydra-signature'], secret) ? 'ok\n' : 'refused\n')
})
