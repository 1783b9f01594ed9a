// Asks a package from npm, named by the argument, whether signatures are genuine.
//
// Reads one JSON object {"body", "headers", "secret"} per line, with the names of headers in lower case, and answers
// each with a line, `ok` or `refused`. Anything but the package's own refusal ends it. NODE_PATH has the packages.

const TOLERANCE = 300 // seconds, as on the product page; Standard Webhooks has the same by itself

// Each gives a function that says whether a case is genuine, or throws the error beside it.
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
    // An ES module, and for those Node does not look into NODE_PATH.
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
  // Not before the package is there: lines that nobody waits for are lost.
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
