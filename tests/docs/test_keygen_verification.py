"""Whoever verifies Keygen's files verifies ours: its published steps, word for word in two languages.

https://keygen.sh/docs/api/cryptography/#cryptographic-lic
"""

import base64
import hashlib
import json
import subprocess

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.docs.offline import NODE

IN_NODE = """
const crypto = require("node:crypto");
const { file, heading, prefix, publicKey, secret } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const encoded = file.replace(`-----BEGIN ${heading}-----\\n`, "").replace(`-----END ${heading}-----\\n`, "");
const { enc, sig, alg } = JSON.parse(Buffer.from(encoded, "base64").toString());
const verifyKey = crypto.createPublicKey({
  format: "der",
  type: "spki",
  key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(publicKey, "hex")]),
});
if (!crypto.verify(null, Buffer.from(`${prefix}/${enc}`), verifyKey, Buffer.from(sig, "base64")))
  throw new Error("the signature is not genuine");
if (alg === "base64+ed25519") {
  console.log(Buffer.from(enc, "base64").toString());
} else if (alg === "aes-256-gcm+ed25519") {
  const [ciphertext, iv, tag] = enc.split(".");
  const digest = crypto.createHash("sha256").update(secret).digest();
  const aes = crypto.createDecipheriv("aes-256-gcm", digest, Buffer.from(iv, "base64"));
  aes.setAuthTag(Buffer.from(tag, "base64"));
  aes.setAAD(Buffer.from(""));
  console.log(aes.update(Buffer.from(ciphertext, "base64"), null, "utf-8") + aes.final("utf-8"));
} else {
  throw new Error("the algorithm is not supported");
}
"""


def in_python(file, heading, prefix, public_key, secret):
    payload = file.removeprefix(f"-----BEGIN {heading}-----\n").removesuffix(f"-----END {heading}-----\n")
    data = json.loads(base64.b64decode(payload))
    enc, sig, alg = data["enc"], data["sig"], data["alg"]
    verify_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    verify_key.verify(base64.b64decode(sig), f"{prefix}/{enc}".encode())
    if alg == "base64+ed25519":
        return json.loads(base64.b64decode(enc))
    assert alg == "aes-256-gcm+ed25519"
    ciphertext, iv, tag = (base64.b64decode(part) for part in enc.split("."))
    key = hashlib.sha256(secret.encode()).digest()
    aes = Cipher(algorithms.AES(key), modes.GCM(iv, None, len(tag))).decryptor()
    return json.loads(aes.update(ciphertext) + aes.finalize_with_tag(tag))


def in_node(file, heading, prefix, public_key, secret):
    given = {"file": file, "heading": heading, "prefix": prefix, "publicKey": public_key, "secret": secret}
    done = subprocess.run(
        [str(NODE), "-e", IN_NODE], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InvalidTag(done.stderr)
    return json.loads(done.stdout)


@pytest.fixture
def public_key(app):
    """In hexadecimal, as Keygen gives it."""
    (key,) = app.test_client().get("/.well-known/license-keys.json").json["keys"]
    return base64.urlsafe_b64decode(key["x"] + "=").hex()


@pytest.mark.parametrize("verified", [in_python, in_node])
@pytest.mark.parametrize("encrypt", ["false", "true"])
@pytest.mark.parametrize("kind", ["license", "machine"])
def test_files_pass_the_verification_that_keygen_publishes(api, public_key, kind, encrypt, verified):
    owner = api.person()
    license_ = api.license(owner=owner)
    taken = api.post("/licenses/activate", {"key": license_.key, "fingerprint": "m1"}).json["data"]["id"]
    path = "/file" if kind == "license" else f"/machines/{taken}/file"
    answer = api.get(f"/licenses/{license_.id}{path}?encrypt={encrypt}", by=owner)
    file = answer.json["data"]["certificate"]
    secret = license_.key + ("m1" if kind == "machine" else "")
    found = verified(file, f"{kind.upper()} FILE", kind, public_key, secret)
    assert set(found) == {"meta", "data", "included"}
    assert set(found["meta"]) == {"issued", "expiry", "ttl"}
    assert found["data"]["id"] == (str(license_.id) if kind == "license" else taken)
    with pytest.raises((InvalidSignature, InvalidTag)):  # of the wrong kind: signed for something else
        verified(file, f"{kind.upper()} FILE", "user", public_key, secret)
