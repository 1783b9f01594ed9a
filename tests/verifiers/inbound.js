// Signs requests as a provider does, or verifies them, with a package from npm, which the argument names.
//
// Reads one JSON object {"secret", "body", "url", "id", "at", "headers"} per line, `at` in unix seconds. If there are no
// headers, answers with a line {"headers", "secret"}: the headers that the provider sends, and the secret that its customer
// gets. Otherwise answers true or false. Any error but a refusal by the package ends it. NODE_PATH has the packages.

const { pathToFileURL } = require('url')
const querystring = require('querystring')

const TOLERANCE = 300 // seconds; the default of most packages

// Packages that are ES modules: Node does not search NODE_PATH for those.
const esModule = (path) => import(pathToFileURL(`${process.env.NODE_PATH}/${path}`))

// Each returns two functions, of which the first may be missing. The third is the error that the second throws for a refusal.
const packages = {
  stripe() {
    const Stripe = require('stripe')
    const sign = ({ secret, body, at }) => ({
      'Stripe-Signature': Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: at }),
    })
    const verify = ({ body, headers, secret }) =>
      Stripe.webhooks.signature.verifyHeader(body, headers['stripe-signature'], secret, TOLERANCE)
    return [sign, verify, Stripe.errors.StripeSignatureVerificationError]
  },
  svix: () => standard(require('svix'), 'svix'),
  standardwebhooks: () => standard(require('standardwebhooks'), 'webhook'),
  async '@octokit/webhooks-methods'() {
    const octokit = await esModule('@octokit/webhooks-methods/dist-node/index.js')
    const sign = async ({ secret, body }) => ({ 'X-Hub-Signature-256': await octokit.sign(secret, body) })
    return [sign, ({ body, headers, secret }) => octokit.verify(secret, body, headers['x-hub-signature-256'])]
  },
  twilio() {
    const twilio = require('twilio/lib/webhooks/webhooks')
    const fields = ({ url, body }) => (url.includes('bodySHA256') ? {} : querystring.parse(body))
    const sign = (request) => ({
      'X-Twilio-Signature': twilio.getExpectedTwilioSignature(request.secret, request.url, fields(request)),
    })
    const verify = (request) => {
      const { secret, url, body } = request
      const signature = request.headers['x-twilio-signature']
      return url.includes('bodySHA256')
        ? twilio.validateRequestWithBody(secret, signature, url, body)
        : twilio.validateRequest(secret, signature, url, fields(request))
    }
    return [sign, verify]
  },
  '@sendgrid/eventwebhook'() {
    const { EventWebhook, EventWebhookHeader } = require('@sendgrid/eventwebhook')
    const { Ecdsa, PrivateKey } = require('starkbank-ecdsa')
    const { p256 } = require('starkbank-ecdsa/ellipticcurve/curve')
    const key = new PrivateKey(p256)
    const sign = ({ body, at }) => ({
      [EventWebhookHeader.SIGNATURE()]: Ecdsa.sign(`${at}${body}`, key).toBase64(),
      [EventWebhookHeader.TIMESTAMP()]: `${at}`,
    })
    sign.secret = key.publicKey().toPem().replace(/-----.*-----|\s/g, '')
    const verify = ({ secret, body, headers }) => {
      const webhook = new EventWebhook()
      const signature = headers[EventWebhookHeader.SIGNATURE().toLowerCase()]
      const timestamp = headers[EventWebhookHeader.TIMESTAMP().toLowerCase()]
      return webhook.verifySignature(webhook.convertPublicKeyToECDSA(secret), body, signature, timestamp)
    }
    return [sign, verify]
  },
  '@paddle/paddle-node-sdk'() {
    const { Paddle } = require('@paddle/paddle-node-sdk')
    const { webhooks } = new Paddle('no key is needed to verify')
    const verify = ({ body, secret, headers }) => webhooks.isSignatureValid(body, secret, headers['paddle-signature'])
    return [undefined, verify]
  },
  async '@linear/sdk'() {
    const { LinearWebhookClient } = await esModule('@linear/sdk/dist/webhooks/index.mjs')
    const verify = ({ secret, body, headers }) =>
      new LinearWebhookClient(secret).verify(Buffer.from(body), headers['linear-signature'])
    return [undefined, verify, Error]
  },
}

function standard({ Webhook, WebhookVerificationError }, prefix) {
  const sign = ({ secret, id, at, body }) => ({
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: `${at}`,
    [`${prefix}-signature`]: new Webhook(secret).sign(id, new Date(at * 1000), body),
  })
  const verify = ({ secret, body, headers }) => {
    new Webhook(secret).verify(body, headers)
    return true
  }
  return [sign, verify, WebhookVerificationError]
}

async function main() {
  const [sign, verify, Refusal] = await packages[process.argv[2]]()
  // Only after the package is loaded: lines that arrive before are lost.
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    const request = JSON.parse(line)
    let answer
    try {
      answer = request.headers
        ? await verify(request)
        : { headers: await sign(request), secret: sign.secret ?? request.secret }
    } catch (error) {
      if (!Refusal || !(error instanceof Refusal)) throw error
      answer = false
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
}
main()
