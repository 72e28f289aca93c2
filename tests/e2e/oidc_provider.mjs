// A real authorization server: npm `oidc-provider`, told which resources there are and nothing more.
//
// Prints its issuer URL as the first line of its output once it answers. Its argument is one JSON object:
//   resources: resource indicator (RFC 8707) -> algorithm that its access tokens are signed with
//   scope:     the scopes that every resource knows, separated by spaces
//   client:    {id, secret} of the one client, which has the client credentials grant; with a `redirect` URI it
//              has the authorization code grant too, and whoever it sends here is logged in and agrees at once
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

const PERSON = "a person";

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
        grant_types: ["client_credentials", ...(client.redirect ? ["authorization_code"] : [])],
        redirect_uris: client.redirect ? [client.redirect] : [],
        response_types: client.redirect ? ["code"] : [],
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
  provider.use(async (context, next) => {
    if (!context.path.startsWith("/interaction/")) return next();
    const { params } = await provider.interactionDetails(context.req, context.res);
    const grant = new provider.Grant({ accountId: PERSON, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    grant.addResourceScope(params.resource, params.scope);
    const agreed = { login: { accountId: PERSON }, consent: { grantId: await grant.save() } };
    context.redirect(await provider.interactionResult(context.req, context.res, agreed));
  });
  return provider.callback();
}

rotate(port ?? 0, generate, handle);
