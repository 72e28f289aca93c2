// What a Node user would write: http, jose, http-proxy, and a Map of tokens that were verified.
//
//     node node_proxy.mjs PORT UPSTREAM_PORT JWKS ISSUER AUDIENCE LOG
import fs from 'node:fs';
import http from 'node:http';
import httpProxy from 'http-proxy';
import { createLocalJWKSet, jwtVerify } from 'jose';

const [port, upstream, jwks, issuer, audience, path] = process.argv.slice(2);
const keys = createLocalJWKSet(JSON.parse(fs.readFileSync(jwks)));
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${upstream}`, agent });
const log = fs.createWriteStream(path, { flags: 'a' });
const verified = new Map();

proxy.on('error', (error, request, response) => {
  if (response.writeHead) response.writeHead(502).end();
});

async function identify(authorization) {
  const token = authorization.startsWith('Bearer ') ? authorization.slice(7) : '';
  const known = verified.get(token);
  if (known && known.exp * 1000 > Date.now()) return known;
  const { payload } = await jwtVerify(token, keys, { issuer, audience });
  verified.set(token, payload);
  return payload;
}

http.createServer(async (request, response) => {
  const began = process.hrtime.bigint();
  let agentClaims;
  try {
    agentClaims = await identify(request.headers.authorization || '');
  } catch {
    return response.writeHead(401, { 'WWW-Authenticate': 'Bearer' }).end();
  }
  delete request.headers.authorization;
  request.headers['x-agent-id'] = agentClaims.sub;
  request.headers['x-agent-scopes'] = agentClaims.scope;
  response.on('finish', () => log.write(JSON.stringify({
    timestamp: new Date().toISOString(),
    agent_id: agentClaims.sub,
    scopes: agentClaims.scope,
    method: request.method,
    path: request.url,
    status: response.statusCode,
    duration_ms: Number(process.hrtime.bigint() - began) / 1e6,
  }) + '\n'));
  proxy.web(request, response);
}).listen(Number(port), '127.0.0.1');
