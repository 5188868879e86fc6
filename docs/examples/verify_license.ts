// What an app does with its licence while it cannot ask: Node's own crypto, no packages.
// The same in Python: verify_license.py. What it all means: ../offline-licenses.md.
import { createDecipheriv, createHash, createPublicKey, verify } from "node:crypto";

export type Kind = "license" | "machine" | "revocations";
export type KeySet = { keys: { kid: string; kty: string; crv: string; x: string }[] };
export type Policy = { grace_until: string; [outcome: string]: string | number };
export type Meta = {
  issued: string;
  expiry: string;
  ttl: number;
  counter?: number; // leases
  failure_policy?: Policy;
  since?: number; // revocation lists
  next?: number;
  complete?: boolean;
};
export type Document = { meta: Meta; data: any; included: any[] };
/** How asking the server went. `refused`: it answered, and did not say that the licence is valid. */
export type Outcome = "valid" | "unreachable" | "too_many_requests" | "server_error" | "refused";
/** What the app keeps, best in the system's key store: the newest moment and counter it has seen, and the list. */
export type Memory = { latest: string; counter: number; next: number; listed: Record<string, string> };
export type Verdict = { usable: boolean; reason: string; memory: Memory };

export class Untrusted extends Error {}

const HEADINGS = { license: "LICENSE FILE", machine: "MACHINE FILE", revocations: "LICENSE REVOCATIONS" };
const TOLERANCE = 5 * 60_000; // ms by which clocks differ though nobody has set them back
export const NOTHING_YET: Memory = { latest: "1970-01-01T00:00:00Z", counter: 0, next: 0, listed: {} };

/** What a certificate says, once its signature is found genuine. Throws Untrusted. */
export function openCertificate(kind: Kind, text: string, keys: KeySet, secret?: string): Document {
  const [head, tail] = ["BEGIN", "END"].map((word) => `-----${word} ${HEADINGS[kind]}-----`) as [string, string];
  const file = text.trim();
  if (!file.startsWith(head) || !file.endsWith(tail)) throw new Untrusted("MALFORMED");
  let parts: { enc: string; sig: string; alg: string; kid: string };
  try {
    parts = JSON.parse(fromBase64(file.slice(head.length, -tail.length)).toString());
  } catch {
    throw new Untrusted("MALFORMED");
  }
  const { enc, sig, alg, kid } = parts ?? {};
  if (![enc, sig, alg, kid].every((part) => typeof part === "string")) throw new Untrusted("MALFORMED");
  if (!isGenuine(`${kind}/${enc}`, fromBase64(sig), keys, kid)) throw new Untrusted("BAD_SIGNATURE");
  if (alg === "base64+ed25519" && !enc.includes(".")) return JSON.parse(fromBase64(enc).toString());
  if (alg !== "aes-256-gcm+ed25519") throw new Untrusted("UNKNOWN_ALGORITHM");
  return JSON.parse(decrypt(enc, secret ?? ""));
}

function isGenuine(text: string, signature: Buffer, keys: KeySet, kid: string): boolean {
  const jwk = keys.keys.find((key) => key.kid === kid);
  if (!jwk) throw new Untrusted("UNKNOWN_KEY"); // fetch the key set again, once
  const key = createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, format: "jwk" });
  return verify(null, Buffer.from(text), key, signature);
}

function decrypt(enc: string, secret: string): string {
  const [ciphertext, iv, tag] = enc.split(".").map(fromBase64);
  if (!ciphertext || !iv || !tag || tag.length !== 16) throw new Untrusted("MALFORMED");
  const cipher = createDecipheriv("aes-256-gcm", createHash("sha256").update(secret).digest(), iv);
  cipher.setAuthTag(tag);
  try {
    return Buffer.concat([cipher.update(ciphertext), cipher.final()]).toString();
  } catch {
    throw new Untrusted("WRONG_SECRET"); // for another key, or another machine
  }
}

const fromBase64 = (letters: string) => Buffer.from(letters, "base64");

/** A machine file or a lease, for this machine; encrypted or not. Throws Untrusted. */
export function openMachineFile(text: string, keys: KeySet, key: string, fingerprint: string): Document {
  const found = openCertificate("machine", text, keys, key.replace(/\s/g, "") + fingerprint);
  if (found.data.fingerprint !== fingerprint) throw new Untrusted("OTHER_MACHINE");
  return found;
}

/** What a signed key says (`key/…`): licence, product, policy, issued, expiry. Throws Untrusted. */
export function openSignedKey(key: string, keys: KeySet): Record<string, string | null> {
  const [text = "", signature = ""] = key.replace(/\s/g, "").split(".");
  let payload: Record<string, string | null>;
  try {
    payload = JSON.parse(Buffer.from(text.replace(/^key\//, ""), "base64url").toString());
  } catch {
    throw new Untrusted("MALFORMED");
  }
  if (!text.startsWith("key/") || typeof payload?.kid !== "string") throw new Untrusted("MALFORMED");
  if (!isGenuine(text, Buffer.from(signature, "base64url"), keys, payload.kid)) throw new Untrusted("BAD_SIGNATURE");
  return payload;
}

/** What to remember of a lease that the server has just given: its word corrects a clock. Throws Untrusted. */
export function accept(lease: Document, memory: Memory): Memory {
  const counter = lease.meta.counter ?? 0;
  if (counter <= memory.counter) throw new Untrusted("OLDER_LEASE"); // somebody plays an old answer back
  return { ...memory, latest: lease.meta.issued, counter };
}

/** What to remember of a revocation list; while it is not `complete`, ask on from `memory.next`. Throws Untrusted. */
export function learn(text: string, keys: KeySet, memory: Memory): Memory {
  const { meta, data } = openCertificate("revocations", text, keys);
  const since = meta.since ?? 0;
  if (since !== 0 && since !== memory.next) throw new Untrusted("GAP"); // not what was asked for
  if (Date.parse(meta.expiry) <= Date.parse(memory.latest)) throw new Untrusted("OLDER_LIST"); // played back
  const listed = since === 0 ? {} : { ...memory.listed };
  for (const { license_id, standing } of data) listed[license_id] = standing;
  return { ...memory, next: meta.next ?? 0, listed };
}

/** May the app run now, by this file? Keep `memory` whatever the verdict. */
export function judge(file: Document, memory: Memory, now: Date, outcome: Outcome): Verdict {
  const { issued, expiry, counter, failure_policy } = file.meta;
  const newest = Math.max(Date.parse(memory.latest), Date.parse(issued));
  const kept = { ...memory, latest: new Date(Math.max(newest, now.getTime())).toISOString() };
  const no = (reason: string) => ({ usable: false, reason, memory: kept });
  if (outcome === "refused") return no("REFUSED"); // it was asked, and it says why
  if (now.getTime() < newest - TOLERANCE) return { ...no("CLOCK_SET_BACK"), memory };
  if (counter !== undefined && counter < memory.counter) return no("OLDER_LEASE");
  const standing = memory.listed[file.data.license_id ?? file.data.id] ?? "restored";
  if (standing !== "restored") return no(standing.toUpperCase());
  if (now.getTime() < Date.parse(expiry)) return { usable: true, reason: "VALID", memory: kept };
  const goesOn = failure_policy?.[outcome] === "keep" && now.getTime() < Date.parse(failure_policy.grace_until);
  return goesOn ? { usable: true, reason: "GRACE", memory: kept } : no("EXPIRED");
}

/** Whether a feature is included now. */
export function isEntitled(file: Document, code: string, now: Date): boolean {
  const license = [file.data, ...file.included].find((one) => one.type === "license");
  const until = license?.entitlements_until?.[code];
  return !!license?.entitlements.includes(code) && (!until || now.getTime() < Date.parse(until));
}
