// Checks an assertion as an upstream on Node.js does, with the `jose` package, and prints what it says.
import { createRemoteJWKSet, jwtVerify } from "jose";

const [keys, issuer, audience, assertion] = process.argv.slice(2);
const { payload, protectedHeader } = await jwtVerify(assertion, createRemoteJWKSet(new URL(keys)), {
  issuer,
  audience,
  typ: "JWT",
  algorithms: ["EdDSA"],
  requiredClaims: ["sub", "exp", "iat", "jti"],
});
console.log(JSON.stringify({ payload, protectedHeader }));
