"""Keys: the private key that signs client assertions, from PEM or JWK."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from fhiradapter.errors import SettingsError

SMALLEST_RSA = 2048  # bits; RFC 7518, section 3.3
CURVE = "secp384r1"  # what ES384 means; RFC 7518, section 3.4


@dataclass(frozen=True)
class SigningKey:
    """A private key with its algorithm and the name under which the server knows its public half."""

    algorithm: str
    id: str
    _key: RSAPrivateKey | EllipticCurvePrivateKey = field(repr=False)

    def sign(self, claims: dict[str, object]) -> str:
        """Return the claims as a signed JWT."""
        return jwt.encode(claims, self._key, algorithm=self.algorithm, headers={"kid": self.id, "typ": "JWT"})


def signing_key(secret: SecretStr, *, key_id: str | None, algorithm: str | None) -> SigningKey:
    """Return the key that a PEM, JWK or JWK set holds.

    Of a set the key named `key_id` is taken, else the first of the algorithm. Raises SettingsError, which
    never repeats any of the key.
    """
    text = secret.get_secret_value()
    key, own_id = _from_jwk(text, key_id, algorithm) if text.startswith("{") else (_from_pem(text), None)
    fitting = "RS384" if isinstance(key, RSAPrivateKey) else "ES384"
    if isinstance(key, RSAPrivateKey) and key.key_size < SMALLEST_RSA:
        raise SettingsError(f"auth.private_key: an RSA key needs {SMALLEST_RSA} bits")
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name != CURVE:
        raise SettingsError("auth.private_key: ES384 needs a key on the curve P-384")
    if algorithm not in {None, fitting}:
        raise SettingsError(f"auth.algorithm: the private key is one for {fitting}")
    return SigningKey(fitting, key_id or own_id or thumbprint(public_members(key)), key)


def thumbprint(members: dict[str, str]) -> str:
    """Return the thumbprint of the required members of a public JWK (RFC 7638, SHA-256)."""
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode("ascii")).digest())


def public_members(key: RSAPrivateKey | EllipticCurvePrivateKey) -> dict[str, str]:
    """Return the members of a key's public JWK that RFC 7638 counts as required."""
    if isinstance(key, RSAPrivateKey):
        public = key.public_key().public_numbers()
        return {"e": _number(public.e), "kty": "RSA", "n": _number(public.n)}
    point = key.public_key().public_numbers()
    octets = (key.curve.key_size + 7) // 8  # RFC 7518, section 6.2.1.2: all octets, leading zeros too
    return {"crv": "P-384", "kty": "EC", "x": _number(point.x, octets), "y": _number(point.y, octets)}


def _number(value: int, octets: int | None = None) -> str:
    return _base64url(value.to_bytes(octets or (value.bit_length() + 7) // 8, "big"))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _from_pem(text: str) -> RSAPrivateKey | EllipticCurvePrivateKey:
    try:
        key: object = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise SettingsError("auth.private_key: the key has a pass phrase; keep it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, (RSAPrivateKey, EllipticCurvePrivateKey)):
        raise SettingsError("auth.private_key: neither a PEM with an RSA or EC private key nor a JWK")
    return key


def _from_jwk(
    text: str, key_id: str | None, algorithm: str | None
) -> tuple[RSAPrivateKey | EllipticCurvePrivateKey, str | None]:
    """Return the private key of a JWK or JWK set, and the `kid` that stands beside it."""
    try:
        content: Any = json.loads(text)
    except ValueError:
        content = None
    found = content.get("keys", [content]) if isinstance(content, dict) else []
    kinds = {"RS384": {"RSA"}, "ES384": {"EC"}}.get(algorithm or "", {"RSA", "EC"})
    fitting = [
        one
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and "d" in one and one.get("kty") in kinds
    ]
    named = [one for one in fitting if one.get("kid") == key_id] if key_id and "keys" in content else fitting
    if not named:
        raise SettingsError("auth.private_key: the JWK holds no such private key")
    try:
        key: object = jwt.PyJWK({**named[0], "alg": "RS384" if named[0]["kty"] == "RSA" else "ES384"}).key
    except (jwt.PyJWTError, ValueError, TypeError):
        key = None
    if not isinstance(key, (RSAPrivateKey, EllipticCurvePrivateKey)):
        raise SettingsError("auth.private_key: the JWK cannot be read")
    own = named[0].get("kid")
    return key, own if isinstance(own, str) else None
