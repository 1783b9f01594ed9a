"""Verifies signatures with a package from PyPI, which the argument names.

Reads one JSON object {"body", "headers", "secret"} per line, with the names of headers in lower case, and answers each
with a line, `ok` or `refused`. Any error but a refusal by the package ends it.
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

TOLERANCE = 300  # seconds; the default of the other packages


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
