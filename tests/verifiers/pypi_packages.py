"""Asks a package from PyPI, named by the argument, whether signatures are genuine.

Reads one JSON object {"body", "headers", "secret"} per line, with the names of headers in lower case, and answers each
with a line, `ok` or `refused`. Anything but the package's own refusal ends it.
"""

import json
import sys

package = sys.argv[1]
if package == "stripe":
    from stripe import SignatureVerificationError as Refusal, WebhookSignature
elif package == "svix":
    from svix.webhooks import Webhook, WebhookVerificationError as Refusal
else:
    from standardwebhooks import Webhook, WebhookVerificationError as Refusal

TOLERANCE = 300  # seconds, as on the product page; the other packages have the same by themselves


def verify(body, headers, secret):
    if package == "stripe":
        WebhookSignature.verify_header(body, headers["x-hydra-signature"], secret, TOLERANCE)
    else:
        Webhook(secret).verify(body, headers)


for line in sys.stdin:
    try:
        verify(**json.loads(line))
        verdict = "ok"
    except Refusal:
        verdict = "refused"
    print(verdict, flush=True)
