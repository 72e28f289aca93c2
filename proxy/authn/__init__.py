"""The authentication room: from an Authorization header to a verified identity, or the reason why not.

The credential is read (`credential`), the token taken apart strictly (`compact`), its issuer's key chosen
(`keyset`, kept fresh by `key_source` through `fetch`), the signature checked (`jose`), then the claims
(`claims`), the issuer's word (`introspector`), what was revoked (`revocation`); `tokens` holds that order and
the cache of verified tokens. `proofs` judges what a bound token must bring besides. Knows neither rules nor
the wire.
"""

from proxy.authn.assertion import Assertions
from proxy.authn.assertion_key import assertion_key
from proxy.authn.credential import Credential, credential
from proxy.authn.dpop import proof_algorithms
from proxy.authn.introspector import Introspectors
from proxy.authn.keyset import KeySetError
from proxy.authn.proofs import Proofs
from proxy.authn.replay import REPLAYED, Replay, UsedProofs
from proxy.authn.replay_redis import SharedProofs
from proxy.authn.revocation import Revocation, Revocations, read_revocation
from proxy.authn.revocation_file import unreadable
from proxy.authn.revocation_source import RevocationError, RevocationSource
from proxy.authn.revocation_sources import revocation_source, revoke
from proxy.authn.sources import KeySources, key_sources, unusable
from proxy.authn.state import KeysState, RevocationsState, TokensState
from proxy.authn.tokens import Verifier

__all__ = [
    "REPLAYED",
    "Assertions",
    "Credential",
    "Introspectors",
    "KeySetError",
    "KeySources",
    "KeysState",
    "Proofs",
    "Replay",
    "Revocation",
    "RevocationError",
    "RevocationSource",
    "Revocations",
    "RevocationsState",
    "SharedProofs",
    "TokensState",
    "UsedProofs",
    "Verifier",
    "assertion_key",
    "credential",
    "key_sources",
    "proof_algorithms",
    "read_revocation",
    "revocation_source",
    "revoke",
    "unreadable",
    "unusable",
]
