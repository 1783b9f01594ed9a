"""Asks Stripe's own library whether signatures are genuine.

Reads one JSON object {"body", "header", "secret"} per line and answers each with a line, `ok` or `refused`.
"""

import json
import sys

from stripe import SignatureVerificationError, WebhookSignature

TOLERANCE = 300  # seconds, as on the product page

for line in sys.stdin:
    case = json.loads(line)
    try:
        WebhookSignature.verify_header(case["body"], case["header"], case["secret"], TOLERANCE)
        verdict = "ok"
    except SignatureVerificationError:
        verdict = "refused"
    print(verdict, flush=True)
