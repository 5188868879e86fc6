"""Receives webhooks of Dev Forge: verifies each, and handles it once.

pip install standardwebhooks
WEBHOOK_SECRET=whsec_… PORT=9000 python webhook_receiver.py
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
handled = set()  # in a real receiver: a table, written together with what you do


class Receiver(BaseHTTPRequestHandler):
    """One address, to which everything is posted."""

    def do_POST(self):
        """Verify what came, answer, and do the work afterwards."""
        # The bytes as they came: parsed and written again, they would be others.
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError:
            self.send_error(401)
            return
        self.send_response(204)
        self.end_headers()
        if self.headers["webhook-id"] not in handled:  # the same message may come twice
            handled.add(self.headers["webhook-id"])
            print(event["type"], event["data"], flush=True)  # noqa: T201 - it talks to a person


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver).serve_forever()
