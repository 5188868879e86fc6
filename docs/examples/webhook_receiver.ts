// Receives webhooks of Dev Forge: verifies each, and handles it once. Node 22.18 or newer, no packages.
//
//     WEBHOOK_SECRET=whsec_… PORT=9000 node webhook_receiver.ts
//
// With the npm package: new Webhook(secret).verify(body, headers), from "standardwebhooks".

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";

const TOLERANCE = 5 * 60; // seconds that a message may be old, or our clocks apart
const secret = process.env["WEBHOOK_SECRET"] ?? "";
const handled = new Set<string>(); // in a real receiver: a table, written together with what you do

interface Event {
  type: string;
  timestamp: string;
  data: Record<string, unknown>;
}

/** What was sent; null where it is not from Dev Forge, or old. */
function verify(body: Buffer, headers: IncomingHttpHeaders): Event | null {
  const [id, timestamp, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) =>
    String(headers[name] ?? ""),
  ) as [string, string, string];
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE)) return null;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  // Over the bytes as they came: parsed and written again, they would be others.
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  for (const signature of signatures.split(" ")) {
    const [version, value] = signature.split(",", 2);
    const given = Buffer.from(value ?? "", "base64");
    // While a secret is rotated there are two: one that verifies is enough.
    if (version === "v1" && given.length === expected.length && timingSafeEqual(given, expected)) {
      return JSON.parse(body.toString("utf8")) as Event;
    }
  }
  return null;
}

const server = createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const event = verify(Buffer.concat(parts), request.headers);
  response.writeHead(event ? 204 : 401).end();
  const id = String(request.headers["webhook-id"]);
  if (event && !handled.has(id)) {
    handled.add(id); // the same message may come twice
    console.log(event.type, JSON.stringify(event.data));
  }
});
server.listen(Number(process.env["PORT"] ?? "9000"), "127.0.0.1");
