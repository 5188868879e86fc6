// A strict OpenID provider on loopback: `node strict_provider.mjs REDIRECT_URI METHOD`.
// Says its address on the first line, then every refusal of a grant.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import path from "node:path";

const entry = path.join(process.cwd(), "node_modules/oidc-provider/lib/index.js");
const { Provider } = await import(pathToFileURL(entry));
const [redirectUri, method] = process.argv.slice(2);

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "dev-forge",
      client_secret: "a secret with +, % and :",
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: method,
    },
  ],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: "Ada" }),
  }),
  cookies: { keys: ["a key for tests"] },
});
provider.on("grant.error", (_, error) => console.log(`refused ${error.error}: ${error.error_detail}`));
server.on("request", provider.callback());
console.log(issuer);
