// A server whose keys change when it is told to, whatever issuer runs on it.
//
// `generate(kid)` makes one generation of private JWKs, `handle(issuer, keys)` a request handler that signs with
// the first fitting one; both may be async. Prints the issuer's URL once it answers. Besides the issuer's own
// requests it takes
//   POST /test/keys?add=1&keep=2   add a generation in front (add=0: none), then keep the newest two
//   GET  /test/fetches             how often the key set was fetched

import { createServer } from "node:http";

export function rotate(port, generate, handle) {
  const server = createServer();
  let [made, fetches, generations, current] = [0, 0, [], null];

  async function change(add, keep) {
    if (add) generations.unshift(await generate(`key-${++made}`));
    generations = generations.slice(0, keep);
    current = await handle(`http://127.0.0.1:${server.address().port}`, generations.flat());
  }

  server.on("request", async (request, response) => {
    const url = new URL(request.url, "http://issuer");
    if (url.pathname === "/test/keys") {
      await change(url.searchParams.get("add") === "1", Number(url.searchParams.get("keep")));
      response.end();
    } else if (url.pathname === "/test/fetches") {
      response.end(String(fetches));
    } else {
      if (url.pathname === "/jwks") fetches += 1;
      current(request, response);
    }
  });
  server.listen(port, "127.0.0.1", async () => {
    await change(true, 1);
    console.log(`http://127.0.0.1:${server.address().port}`);
  });
}
