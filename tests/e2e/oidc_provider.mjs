// A real authorization server: npm `oidc-provider`, told which resources there are and nothing more.
//
// Prints its issuer URL as the first line of its output once it answers. Its argument is one JSON object:
//   resources: resource indicator (RFC 8707) -> algorithm that its access tokens are signed with
//   scope:     the scopes that every resource knows, separated by spaces
//   client:    {id, secret} of the one client, which has the client credentials grant

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

import { Provider, errors } from "oidc-provider";

const { resources, scope, client } = JSON.parse(process.argv[2]);

const KEYS = {
  EdDSA: ["ed25519"],
  ES256: ["ec", { namedCurve: "P-256" }],
  RS256: ["rsa", { modulusLength: 2048 }],
};

const keys = Object.entries(KEYS).map(([alg, kind]) => {
  const { privateKey } = generateKeyPairSync(...kind);
  return { ...privateKey.export({ format: "jwk" }), alg, use: "sig" };
});

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys },
    scopes: scope.split(" "),
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        scope,
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_context, resource) {
          const algorithm = resources[resource];
          if (!algorithm) throw new errors.InvalidTarget();
          return { scope, accessTokenFormat: "jwt", jwt: { sign: { alg: algorithm } } };
        },
      },
    },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
