from __future__ import annotations

import json

from proxy.refusals.body import body


def test_body():
    assert body("invalid_token", "The access token has expired.", "token_expired", "4f2a") == (
        b'{"error":"invalid_token","error_description":"The access token has expired.",'
        b'"reason":"token_expired","request_id":"4f2a"}'
    )


def test_what_needs_escaping():
    said = 'a "quote"\r\n</script>'
    assert json.loads(body("e", said, "r", "i"))["error_description"] == said
    assert b"\n" not in body("e", said, "r", "i")
