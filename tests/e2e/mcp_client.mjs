// A client as its author would write it, on npm's `@modelcontextprotocol/sdk` (1.x) or `@modelcontextprotocol/client`
// (2.x): lists the tools, calls what it is told to, and prints what it got, or what it would show its person instead.
//
// Its argument is one JSON object:
//   library:  "sdk" or "client"
//   options:  the client's own, such as how it finds the revision of the protocol
//   url:      the server's
//   token:    sent with every request
//   credentials:  without a token, the client's own at the issuer that the server names. 2.x exchanges them for tokens;
//             1.x cannot ask for more that way, so there a person logs in, and agrees to what the server asks for
//   calls:    [[tool, arguments], …]

const { library, options, url, token, credentials, calls } = JSON.parse(process.argv[2]);

const { Client, StreamableHTTPClientTransport, ClientCredentialsProvider } =
  library === "client"
    ? await import("@modelcontextprotocol/client")
    : {
        ...(await import("@modelcontextprotocol/sdk/client/index.js")),
        ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
      };

/** A person with a browser that keeps cookies and goes where it is sent, until it is sent back to the client. */
class Person {
  redirectUrl = credentials?.redirect;
  clientMetadata = { redirect_uris: [this.redirectUrl] };
  #cookies = new Map();
  #kept = {};

  clientInformation() {
    return { client_id: credentials.clientId, client_secret: credentials.clientSecret };
  }
  saveTokens(tokens) {
    this.#kept.tokens = tokens;
  }
  tokens() {
    return this.#kept.tokens;
  }
  saveCodeVerifier(verifier) {
    this.#kept.verifier = verifier;
  }
  codeVerifier() {
    return this.#kept.verifier;
  }
  async redirectToAuthorization(url) {
    while (!`${url}`.startsWith(this.redirectUrl)) {
      const cookie = [...this.#cookies].map((pair) => pair.join("=")).join("; ");
      const answer = await fetch(url, { redirect: "manual", headers: { cookie } });
      for (const line of answer.headers.getSetCookie()) {
        const [name, ...value] = line.split(";")[0].split("=");
        this.#cookies.set(name, value.join("="));
      }
      url = new URL(answer.headers.get("location"), url);
    }
    this.code = url.searchParams.get("code");
  }
}

const person = new Person();
const auth = token
  ? { requestInit: { headers: { Authorization: `Bearer ${token}` } } }
  : { authProvider: library === "client" ? new ClientCredentialsProvider(credentials) : person };
const client = new Client({ name: `a person's ${library}`, version: "1" }, options);
let transport = new StreamableHTTPClientTransport(new URL(url), auth);

/** Do it, and once more where a person had to log in meanwhile. */
async function loggedIn(action) {
  return action().catch(async (error) => {
    if (!person.code) throw error;
    await transport.finishAuth(person.code);
    person.code = undefined;
    return action();
  });
}

const said = {};
try {
  await loggedIn(() => {
    transport = new StreamableHTTPClientTransport(new URL(url), auth);
    return client.connect(transport);
  });
  said.tools = (await client.listTools()).tools.map((tool) => tool.name);
  said.calls = [];
  for (const [name, given] of calls) {
    said.calls.push(
      await loggedIn(() => client.callTool({ name, arguments: given })).then(
        (result) => result.content.map((part) => part.text).join(" "),
        (error) => `${error}`,
      ),
    );
  }
  await client.close();
} catch (error) {
  said.failure = `${error}`;
}
console.log(JSON.stringify(said));
process.exit();
