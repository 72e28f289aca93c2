// A real authorization server: npm `oidc-provider`, told which resources there are and nothing more.
//
// Prints its issuer URL as the first line of its output once it answers. Its argument is one JSON object:
//   resources: resource indicator (RFC 8707) -> algorithm that its access tokens are signed with
//   scope:     the scopes that every resource knows, separated by spaces
//   client:    {id, secret} of the one client, which has the client credentials grant
//   port:      where to listen; any free one where absent
// Its keys change as rotating.mjs says.

import { generateKeyPairSync } from "node:crypto";

import { Provider, errors } from "oidc-provider";

import { rotate } from "./rotating.mjs";

const { resources, scope, client, port } = JSON.parse(process.argv[2]);

const KEYS = {
  EdDSA: ["ed25519"],
  ES256: ["ec", { namedCurve: "P-256" }],
  RS256: ["rsa", { modulusLength: 2048 }],
};

const generate = (kid) =>
  Object.entries(KEYS).map(([alg, kind]) => {
    const { privateKey } = generateKeyPairSync(...kind);
    return { ...privateKey.export({ format: "jwk" }), alg, use: "sig", kid: alg === "ES256" ? kid : `${kid}-${alg}` };
  });

function handle(issuer, keys) {
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
  return provider.callback();
}

rotate(port ?? 0, generate, handle);
