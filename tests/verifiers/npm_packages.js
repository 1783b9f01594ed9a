// Verifies signatures with a package from npm, which the argument names.
//
// Reads one JSON object {"body", "headers", "secret"} per line, with the names of headers in lower case, and answers
// each with a line, `ok` or `refused`. Any error but a refusal by the package ends it. NODE_PATH has the packages.

const TOLERANCE = 300 // seconds; the default of Standard Webhooks

// Each returns a function that verifies a case, and the error that it throws for a refusal.
const packages = {
  stripe() {
    const Stripe = require('stripe')
    const verify = ({ body, headers, secret }) =>
      Stripe.webhooks.signature.verifyHeader(body, headers['x-hydra-signature'], secret, TOLERANCE)
    return [verify, Stripe.errors.StripeSignatureVerificationError]
  },
  standardwebhooks: () => standard(require('standardwebhooks')),
  svix: () => standard(require('svix')),
  async '@octokit/webhooks-methods'() {
    // An ES module, and Node does not search NODE_PATH for those.
    const file = `${process.env.NODE_PATH}/@octokit/webhooks-methods/dist-node/index.js`
    const octokit = await import(require('url').pathToFileURL(file))
    return [({ body, headers, secret }) => octokit.verify(secret, body, headers['x-hub-signature-256'])]
  },
}

function standard({ Webhook, WebhookVerificationError }) {
  const verify = ({ body, headers, secret }) => {
    new Webhook(secret).verify(body, headers)
    return true
  }
  return [verify, WebhookVerificationError]
}

async function main() {
  const [verify, Refusal] = await packages[process.argv[2]]()
  // Only after the package is loaded: lines that arrive before are lost.
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    let genuine
    try {
      genuine = await verify(JSON.parse(line))
    } catch (error) {
      if (!Refusal || !(error instanceof Refusal)) throw error
      genuine = false
    }
    process.stdout.write(genuine ? 'ok\n' : 'refused\n')
  }
}
main()
