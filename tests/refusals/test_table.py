from __future__ import annotations

import re

import pytest

from proxy.model import Reason
from proxy.refusals.table import TABLE

STATUSES = {
    400: "path_ambiguous request_malformed credential_duplicated mcp_malformed mcp_mismatch",
    401: "credential_missing token_malformed signature_invalid algorithm_refused type_refused key_unknown"
    " issuer_unknown audience_mismatch token_expired token_not_yet_valid claim_missing token_revoked"
    " proof_invalid token_inactive",
    403: "scope_insufficient claim_refused operation_refused origin_refused upgrade_refused",
    404: "route_unmatched session_foreign operation_unknown",
    405: "method_refused",
    408: "request_timeout",
    413: "body_too_large",
    414: "uri_too_long",
    415: "media_type_refused",
    421: "host_refused",
    429: "rate_limited",
    431: "headers_too_large",
    499: "client_closed",
    500: "internal_error",
    502: "upstream_unreachable upstream_malformed upstream_credential_refused",
    503: "keys_unavailable introspection_unavailable audit_unavailable overloaded draining",
    504: "upstream_timeout",
}


def test_every_reason_has_its_row():
    assert set(TABLE) == set(Reason)


@pytest.mark.parametrize(
    ("reason", "status"),
    [(reason, status) for status, reasons in STATUSES.items() for reason in reasons.split()],
)
def test_status(reason, status):
    assert TABLE[Reason(reason)].status == status


def test_the_statuses_here_are_all_of_them():
    assert {reason for reasons in STATUSES.values() for reason in reasons.split()} == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_rows_agree_with_themselves(reason):
    row = TABLE[reason]
    assert (row.error == "invalid_token") == (row.status == 401 and reason is not Reason.CREDENTIAL_MISSING)
    assert (row.error == "temporarily_unavailable") == (row.status == 503)
    comes_back = row.status in {429, 503} or reason is Reason.UPSTREAM_UNREACHABLE
    assert (row.retry_after is not None) == comes_back
    # RFC 6750 3.1: the three codes that stand in a challenge, and no other row challenges.
    challenged = {
        (400, "invalid_request"),
        (401, "invalid_token"),
        (401, "unauthorized"),
        (403, "insufficient_scope"),
    }
    assert not row.challenge or (row.status, row.error) in challenged
    assert row.challenge or row.status != 401


@pytest.mark.parametrize("reason", Reason)
def test_sentences_are_for_people(reason):
    sentence = TABLE[reason].sentence
    # RFC 6750 3: the characters of error_description; clients search challenges for name=.
    assert re.fullmatch(r"[A-Z][ !#-\[\]-~]+\.", sentence)
    assert "=" not in sentence
