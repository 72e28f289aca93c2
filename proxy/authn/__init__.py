"""The authentication room: from an Authorization header to a verified identity, or the reason why not.

The credential is read (`credential`), the token taken apart strictly (`compact`), its issuer's key chosen
(`keyset`, kept fresh by `sources` through `fetch`), the signature checked (`jose`), then the claims
(`claims`); `tokens` holds that order and the cache of verified tokens. Knows no rule and no wire.
"""

from proxy.authn.credential import bearer
from proxy.authn.keyset import KeySetError
from proxy.authn.sources import KeySources, key_sources
from proxy.authn.tokens import Verifier

__all__ = ["KeySetError", "KeySources", "Verifier", "bearer", "key_sources"]
