"""Signs requests as a provider does, or verifies them, with a package from PyPI, which the argument names.

Reads one JSON object {"secret", "body", "url", "id", "at", "headers"} per line, `at` in unix seconds. If there are no
headers, answers with a line {"headers", "secret"}: the headers that the provider sends, and the secret that its customer
gets. Otherwise answers true or false. Any error but a refusal by the package ends it.
"""

import json
import sys
from datetime import datetime, timezone

package = sys.argv[1]
Refusal = ()

if package == "stripe":
    from stripe import SignatureVerificationError as Refusal, WebhookSignature

    def verify(secret, body, headers, **_):
        return WebhookSignature.verify_header(body, headers["stripe-signature"], secret, 300)

elif package in ("svix", "standardwebhooks"):
    if package == "svix":
        from svix.webhooks import Webhook, WebhookVerificationError as Refusal
    else:
        from standardwebhooks import Webhook, WebhookVerificationError as Refusal
    prefix = "svix" if package == "svix" else "webhook"

    def sign(secret, body, id, at, **_):
        signature = Webhook(secret).sign(id, datetime.fromtimestamp(at, tz=timezone.utc), body)
        return {f"{prefix}-id": id, f"{prefix}-timestamp": str(at), f"{prefix}-signature": signature}

    def verify(secret, body, headers, **_):
        Webhook(secret).verify(body, headers)
        return True

elif package == "slack_sdk":
    from slack_sdk.signature import SignatureVerifier

    def sign(secret, body, at, **_):
        signature = SignatureVerifier(secret).generate_signature(timestamp=str(at), body=body)
        return {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": str(at)}

    def verify(secret, body, headers, **_):
        return SignatureVerifier(secret).is_valid_request(body, headers)

elif package == "squareup":
    from square.utils.webhooks_helper import verify_signature

    def verify(secret, body, url, headers, **_):
        return verify_signature(
            request_body=body,
            signature_header=headers["x-square-hmacsha256-signature"],
            signature_key=secret,
            notification_url=url,
        )


for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["headers"]:
            answer = verify(**request)
        else:
            answer = {"headers": sign(**request), "secret": request["secret"]}
    except Refusal:
        answer = False
    print(json.dumps(answer), flush=True)
