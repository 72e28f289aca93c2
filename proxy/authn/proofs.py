"""Whether a caller has proved the key that its token is bound to (RFC 9449 sections 7 and 9, RFC 8705).

Decides with `now` as a value, after the token was verified and on every request, for the token may come from
a cache but no proof does. Yields only to ask Redis. Knows no rule and no wire.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from proxy.authn.dpop import Asked, check_proof, digest, refused, target_uri
from proxy.authn.nonces import Nonces
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from proxy.authn.credential import Credential
    from proxy.authn.dpop import Proof
    from proxy.authn.replay import Replay
    from proxy.config import Issuer
    from proxy.model import Caller, Identity, RequestHead, Wait


class _Terms(Struct, frozen=True, gc=False):
    """What one issuer's tokens need; `leeway` is in seconds."""

    required: bool
    nonce: bool
    leeway: float


class Proofs:
    """Judges proofs for one resource.

    `resource` is its identifier: the origin that clients see, whatever stands between. `nonce_key` is random
    and at least 32 bytes long, and workers and replicas share it.
    """

    def __init__(
        self, issuers: Iterable[Issuer], resource: str | None, replay: Replay, nonce_key: bytes
    ) -> None:
        self._terms = {
            one.issuer: _Terms(one.dpop.mode == "required", one.dpop.nonce, one.leeway)
            for one in issuers
            if one.dpop.mode != "off"
        }
        self._origin = "" if resource is None else _origin(resource)
        self._replay = replay
        self._nonces = Nonces(nonce_key)

    def concern(self, credential: Credential, identity: Identity) -> bool:
        """Say whether this request must be judged: cheap, for the many that need not be."""
        if credential.scheme == "DPoP" or identity.bound_to is not None or identity.certificate is not None:
            return True
        terms = self._terms.get(identity.issuer)
        return terms is not None and terms.required

    def judge(
        self, head: RequestHead, credential: Credential, caller: Caller, now: float
    ) -> Generator[Wait, Any, Deny | None]:
        """Judge the request of a verified `caller` at `now` (Unix seconds); a `Deny` names the caller."""
        identity = caller.identity
        terms = self._terms.get(identity.issuer)
        deny = _scheme_refused(credential, identity, required=terms is not None and terms.required)
        if deny is None and identity.certificate not in (None, head.peer.certificate):
            # A wrong certificate and none at all say the same: the thief has the token, and not the key.
            deny = Deny(Reason.PROOF_INVALID, "the token is bound to another client certificate (RFC 8705)")
        if deny is None and identity.bound_to is not None:
            deny = yield from self._proof_refused(head, credential.token, identity, identity.bound_to, now)
        return None if deny is None else replace(deny, caller=caller)

    def fresh_nonce(self, issuer: str, now: float) -> bytes:
        """Return the header line that gives a client its next nonce, for answers to admitted requests.

        Empty where the issuer's tokens need none. With it no client has to be refused first (section 8.2).
        """
        terms = self._terms.get(issuer)
        return self._nonce_line(now) if terms is not None and terms.nonce else b""

    def _proof_refused(
        self, head: RequestHead, token: bytes, identity: Identity, bound_to: str, now: float
    ) -> Generator[Wait, Any, Deny | None]:
        terms = self._terms.get(identity.issuer)
        value = head.fields.get(b"dpop")
        if terms is None or value is None:
            return refused("the request has no proof (DPoP)")
        # Two proofs are two readings (section 4.3).
        if b"dpop" in head.repeated:
            return refused("the request has more than one proof (DPoP)")
        path = head.target.partition(b"?")[0].decode("latin-1")
        uri = target_uri(self._origin + path) or ""
        proof = check_proof(value, Asked(head.method, uri, digest(token), bound_to, terms.leeway), now)
        if isinstance(proof, Deny):
            return proof
        if terms.nonce and not self._nonces.holds(proof.nonce, now):
            detail = "the proof has no nonce of this server, or an old one"
            return Deny(Reason.PROOF_INVALID, detail, lines=self._nonce_line(now))
        # Last: what was refused may not use up anything.
        used = _digest(proof, bound_to)
        return (yield from self._replay.use((identity.issuer, identity.id), used, proof.until, now))

    def _nonce_line(self, now: float) -> bytes:
        return f"DPoP-Nonce: {self._nonces.current(now)}\r\n".encode()


def _scheme_refused(credential: Credential, identity: Identity, *, required: bool) -> Deny | None:
    """Refuse a token under the wrong scheme (section 7.2): a thief would take the one without a proof."""
    bound = identity.bound_to is not None
    if credential.scheme == "DPoP":
        return None if bound else refused("the token came under the scheme DPoP, but is bound to no key")
    if bound:
        return refused("the token is bound to a key, and came under the scheme Bearer")
    return refused("this issuer's tokens must be bound to a key (`dpop: required`)") if required else None


def _digest(proof: Proof, bound_to: str) -> bytes:
    # A thumbprint is 43 characters long: no two pairs read alike.
    return sha256(f"{bound_to}{proof.jti}".encode()).digest()[:16]


def _origin(resource: str) -> str:
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}"
