// Another real issuer: npm `oauth2-mock-server`. Its argument is one JSON object:
//   subject: what `sub` says in its tokens (its client credentials grant gives them none)
//   port:    where to listen; any free one where absent
// Prints its issuer URL as the first line of its output once it answers. Its keys change as rotating.mjs says;
// it signs with each of them in turn.

import { OAuth2Issuer, OAuth2Service } from "oauth2-mock-server";

import { rotate } from "./rotating.mjs";

const { subject, port } = JSON.parse(process.argv[2]);

async function generate(kid) {
  return [await new OAuth2Issuer().keys.generate("ES256", { kid })];
}

async function handle(url, keys) {
  const issuer = new OAuth2Issuer();
  issuer.url = url;
  for (const key of keys) await issuer.keys.add(key);
  const service = new OAuth2Service(issuer);
  service.on("beforeTokenSigning", (token) => {
    token.payload.sub = subject;
  });
  return service.requestHandler;
}

rotate(port ?? 0, generate, handle);
