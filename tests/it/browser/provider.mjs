// An OpenID provider: npm's oidc-provider, with its own pages to sign in at, where everybody has any password.
// Usage: node provider.mjs NODE_MODULES PORT CONSOLE_ORIGIN; says when it serves, and ends with its standard input.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [modules, port, origin] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));

const groups = { ann: ["staff", "approvers"], ben: ["staff"] };
const findAccount = (_, id) => ({
  accountId: id,
  claims: () => ({ sub: id, preferred_username: id, groups: groups[id] ?? [] }),
});

// another site than the console, which is at an address of numbers
const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      client_id: "tributary",
      client_secret: "a-secret-of-the-client",
      redirect_uris: [`${origin}/console/sso/callback`],
    },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
  cookies: { keys: ["for-tests"] },
  findAccount,
  pkce: { required: () => true },
});
createServer(provider.callback()).listen(port, "127.0.0.1", () => console.log("serving"));
process.stdin.resume().on("end", () => process.exit());
