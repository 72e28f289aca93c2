"""Who is compared: how each proxy is configured and started. All log one JSON line for each request."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.compare.keys import AUDIENCE, ISSUER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).resolve().parent.parent / "peers"
UPSTREAM = 9000
PORTS = {
    "direct": UPSTREAM,
    "relay": 9101,
    "nginx": 9102,
    "haproxy (RS256)": 9103,
    "envoy": 9104,
    "envoy + cache": 9105,
    "node": 9106,
    "aiohttp": 9107,
    "keystile": 9110,
    "keystile, 50 rules": 9111,
    "keystile, all fields": 9112,
    "keystile, DPoP": 9113,
    "keystile, 2 workers": 9114,
    "nginx, TLS": 9122,
    "envoy + cache, TLS": 9125,
    "keystile, TLS": 9130,
    "nginx, 2 workers": 9142,
}
VERIFIES = {name for name in PORTS if not name.startswith(("direct", "relay", "nginx"))}


def upstream(folder: Path) -> Sequence[object]:
    return [folder / "upstream", UPSTREAM]


def relay(folder: Path) -> Sequence[object]:
    return [folder / "relay", PORTS["relay"], UPSTREAM]


def nginx(folder: Path, name: str, *, workers: int = 1, tls: bool = False) -> Sequence[object]:
    """nginx verifies nothing: it passes on, says who asked, and logs."""
    port = PORTS[name]
    secure = f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;" if tls else ""
    path = folder / f"nginx-{port}.conf"
    path.write_text(f"""
worker_processes {workers}; daemon off; pid {folder}/nginx-{port}.pid; error_log {folder}/nginx-{port}.err;
events {{ worker_connections 4096; }}
http {{
  log_format line escape=json '{{"timestamp":"$time_iso8601","agent_id":"$http_x_agent_id","method":"$request_method",'
    '"path":"$uri","status":$status,"bytes_out":$bytes_sent,"duration":$request_time}}';
  access_log {folder}/nginx-{port}.log line;
  keepalive_requests 100000000; client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy;
  large_client_header_buffers 8 64k;
  upstream protected {{ server 127.0.0.1:{UPSTREAM}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} {"ssl" if tls else ""} {"reuseport" if workers > 1 else ""}; {secure}
    location / {{
      proxy_pass http://protected; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization ""; proxy_set_header X-Agent-Id "agent-000000"; proxy_buffering off;
    }}
  }}
}}
""")
    return ["nginx", "-c", path]


def haproxy(folder: Path) -> Sequence[object]:
    """HAProxy verifies a signature and an issuer, each time; it does not know EdDSA."""
    path = folder / "haproxy.cfg"
    path.write_text(f"""
global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
backend protected
  server upstream 127.0.0.1:{UPSTREAM}
frontend edge
  bind 127.0.0.1:{PORTS["haproxy (RS256)"]}
  log global
  log-format '{{"timestamp":"%tr","agent_id":"%[var(txn.sub),json]","method":"%HM","path":"%HP","status":%ST,"bytes_out":%B,"duration_ms":%Ta}}'
  http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request set-var(txn.sub) var(txn.token),jwt_payload_query('$.sub')
  http-request set-var(txn.scope) var(txn.token),jwt_payload_query('$.scope')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {ISSUER} }}
  http-request deny deny_status 401 if !{{ var(txn.token),jwt_verify(txn.alg,"{folder}/rsa.pem") -m int 1 }}
  http-request del-header Authorization
  http-request set-header X-Agent-Id %[var(txn.sub)]
  http-request set-header X-Agent-Scopes %[var(txn.scope)]
  default_backend protected
""")
    return ["haproxy", "-f", path]


def envoy(folder: Path, name: str, *, cache: bool, tls: bool = False) -> Sequence[object]:
    """Envoy's jwt_authn filter: without its cache it verifies each request."""
    port = PORTS[name]
    extensions = "type.googleapis.com/envoy.extensions"
    provider: dict[str, Any] = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "forward": False,
        "local_jwks": {"inline_string": (folder / "jwks.json").read_text()},
        "claim_to_headers": [
            {"header_name": "x-agent-id", "claim_name": "sub"},
            {"header_name": "x-agent-scopes", "claim_name": "scope"},
        ],
    }
    if cache:
        provider["jwt_cache_config"] = {"jwt_cache_size": 10_000}
    filters = [
        {
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": f"{extensions}.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"issuer": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
            },
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": f"{extensions}.filters.http.router.v3.Router",
                "suppress_envoy_headers": True,
            },
        },
    ]
    line = {
        "timestamp": "%START_TIME%",
        "agent_id": "%REQ(X-AGENT-ID)%",
        "scopes": "%REQ(X-AGENT-SCOPES)%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "status": "%RESPONSE_CODE%",
        "bytes_out": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
    }
    manager = {
        "@type": f"{extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}],
                }
            ]
        },
        "http_filters": filters,
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": f"{extensions}.access_loggers.file.v3.FileAccessLog",
                    "path": f"{folder}/envoy-{port}.log",
                    "log_format": {"json_format": line},
                },
            }
        ],
    }
    chain: dict[str, Any] = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    }
    if tls:
        pair = {
            "certificate_chain": {"filename": f"{folder}/certificate.pem"},
            "private_key": {"filename": f"{folder}/key.pem"},
        }
        chain["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{extensions}.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [pair]},
            },
        }
    most = {"max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(UPSTREAM)}}]}],
        },
    }
    listener = {"name": "edge", "address": _address(port), "filter_chains": [chain]}
    path = folder / f"envoy-{port}.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    program = Path(sys.executable).parent / "envoy"
    return [program, "-c", path, "--concurrency", 1, "-l", "error", "--disable-hot-restart"]


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def node(folder: Path) -> Sequence[object]:
    arguments = [UPSTREAM, folder / "jwks.json", ISSUER, AUDIENCE, folder / "node.log"]
    return ["node", folder / "node_proxy.mjs", PORTS["node"], *arguments]


def aiohttp(folder: Path) -> Sequence[object]:
    arguments = [UPSTREAM, folder / "jwks.json", ISSUER, AUDIENCE, folder / "aiohttp.log"]
    return [sys.executable, HERE / "aiohttp_app.py", PORTS["aiohttp"], *arguments]


def keystile(folder: Path, name: str, **settings: Any) -> Sequence[object]:
    """Keystile with rules, one of them for tools, metrics, and every default deadline and limit."""
    port = PORTS[name]
    configuration = {
        "listen": f"127.0.0.1:{port}",
        "admin": f"127.0.0.1:{port + 1000}",
        "upstream": f"http://127.0.0.1:{UPSTREAM}",
        "resource": AUDIENCE,
        "hosts": ["127.0.0.1"],
        "issuers": [{"issuer": ISSUER, "jwks": str(folder / "jwks.json")}],
        "rules": RULES,
        "log": {"output": str(folder / f"keystile-{port}.log")},
        **settings,
    }
    path = folder / f"keystile-{port}.yaml"
    path.write_text(json.dumps(configuration))  # which is YAML
    return [sys.executable, "-m", "proxy", "run", path]


RULES: list[dict[str, Any]] = [
    {
        "name": "mcp",
        "path": "/mcp",
        "scopes": ["tools:read"],
        "mcp": [{"tool": "write_*", "scopes": ["tools:write"]}, {"tool": "*", "scopes": ["tools:call"]}],
    },
    {
        "name": "list",
        "path": "/list",
        "scopes": ["tools:read"],
        "mcp": [{"tool": "write_*", "scopes": ["tools:write"]}, {"tool": "*", "scopes": ["tools:call"]}],
    },
    {"name": "rest", "path": "/**", "scopes": ["tools:read"]},
]
_MANY = [{"path": f"/area-{number}/**", "scopes": [f"area:{number}"]} for number in range(48)]
_TLS = {"certificate": "certificate.pem", "key": "key.pem"}

COMMANDS: dict[str, Callable[[Path], Sequence[object]]] = {
    "direct": upstream,
    "relay": relay,
    "nginx": lambda folder: nginx(folder, "nginx"),
    "haproxy (RS256)": haproxy,
    "envoy": lambda folder: envoy(folder, "envoy", cache=False),
    "envoy + cache": lambda folder: envoy(folder, "envoy + cache", cache=True),
    "node": node,
    "aiohttp": aiohttp,
    "keystile": lambda folder: keystile(folder, "keystile"),
    "keystile, 50 rules": lambda folder: keystile(folder, "keystile, 50 rules", rules=[*_MANY, *RULES]),
    "keystile, all fields": lambda folder: keystile(
        folder,
        "keystile, all fields",
        identity_headers={
            "X-Agent-Id": "id",
            "X-Agent-Scopes": "scopes",
            "X-Agent-Name": "name",
            "X-Agent-Issuer": "issuer",
        },
        log={"output": str(folder / "keystile-all.log"), "arguments": ["text"]},
    ),
    "keystile, DPoP": lambda folder: keystile(
        folder,
        "keystile, DPoP",
        issuers=[
            {
                "issuer": ISSUER,
                "jwks": str(folder / "jwks.json"),
                "dpop": {"mode": "required", "window": "1h"},
            }
        ],
    ),
    "keystile, 2 workers": lambda folder: keystile(folder, "keystile, 2 workers", workers=2),
    "nginx, TLS": lambda folder: nginx(folder, "nginx, TLS", tls=True),
    "envoy + cache, TLS": lambda folder: envoy(folder, "envoy + cache, TLS", cache=True, tls=True),
    "keystile, TLS": lambda folder: keystile(folder, "keystile, TLS", tls=_TLS),
    "nginx, 2 workers": lambda folder: nginx(folder, "nginx, 2 workers", workers=2),
}
