// A customer's way from registration to logout, by a client that is generated from the document. It is the compiler that proves most
// of it: what the document does not say can't be written here. ./run refuses casts and `any` in this file.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { scheduler } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Problem = components["schemas"]["Problem"];
type Code = Problem["code"];

const PASSWORD = "kapal layar putih 7";
/** How long a mail may take, and until a session that has ended is refused everywhere. */
const BOUND_MS = 30_000;

const api = createClient<paths>({ baseUrl: setting("NAKHODA_API_URL") });
const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });
let calls = 0;
api.use({ onRequest: () => void (calls += 1) });

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: start this by cargo dev with-api`);
  return value;
}

/** The value of an answer that is to be good. */
function good<T>(what: string, answer: { data?: T; error?: Problem; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${what}: ${answer.response.status} ${answer.error?.code ?? "without a problem"}: ${answer.error?.detail ?? ""}`);
  }
  return answer.data;
}

/** Checks that an answer without a body is as it should be. */
function empty(what: string, wanted: number, answer: { error?: Problem; response: Response }): void {
  if (answer.response.status !== wanted) {
    throw new Error(`${what}: ${answer.response.status} ${answer.error?.code ?? ""} in the place of ${wanted}`);
  }
}

/** Checks that an answer is that problem. That the code exists is the compiler's to check. */
function refused(what: string, wanted: Code, answer: { error?: Problem; response: Response }): void {
  if (answer.error?.code !== wanted) {
    throw new Error(`${what}: ${answer.response.status} ${answer.error?.code ?? "no problem"} in the place of ${wanted}`);
  }
}

async function within<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + BOUND_MS; Date.now() < end; await scheduler.wait(100)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`${what}: not within ${BOUND_MS / 1000} s`);
}

/** The token in the link of the first mail to an address. */
function mailedToken(email: string): Promise<string> {
  const folder = setting("NAKHODA_MAILS");
  return within(`the mail to ${email}`, async () => {
    for (const name of (await readdir(folder)).filter((name) => name.endsWith(".json")).sort()) {
      const mail: unknown = JSON.parse(await readFile(join(folder, name), "utf8"));
      if (typeof mail !== "object" || mail === null || !("to" in mail) || !("text" in mail)) continue;
      if (!Array.isArray(mail.to) || !mail.to.includes(email) || typeof mail.text !== "string") continue;
      const token = /[?&#]token=([A-Za-z0-9._~-]+)/.exec(mail.text)?.[1];
      if (token !== undefined) return token;
    }
    return undefined;
  });
}

/** What a page shows for a problem: decided by its code, which is a closed list in the types. */
function shown(problem: Problem): string {
  switch (problem.code) {
    case "auth.invalid_credentials":
      return "wrong address or password";
    case "auth.email_not_verified":
      return "look into your mail first";
    case "request.invalid":
      return (problem.errors ?? []).map(({ field, message }) => `${field} ${message}`).join("; ");
    // @ts-expect-error: a code that there is not must not compile
    case "auth.no_such_code":
    default:
      return problem.title;
  }
}

/** What must not compile. It is never called. */
export async function wrong(): Promise<void> {
  // @ts-expect-error: no such path
  await api.GET("/api/v1/nowhere");
  // @ts-expect-error: no such method there
  await api.DELETE("/api/v1/auth/login");
  // @ts-expect-error: a field is missing
  await api.POST("/api/v1/auth/login", { body: { email: "ayu@example.com" } });
  // @ts-expect-error: a field that is not known
  ({ role: "ADMINISTRATOR" }) satisfies components["schemas"]["Change"];
  // @ts-expect-error: a value that is not in the list
  await api.PATCH("/api/v1/me", { body: { language: "FR" } });
  const me = await api.GET("/api/v1/me");
  // @ts-expect-error: whether there is an answer must be looked at first
  me.data.email;
}

async function walk(): Promise<string> {
  const email = `contract-${crypto.randomUUID()}@nakhoda.test`;
  const credentials = { email, password: PASSWORD };

  const register = { ...credentials, name: "A customer", language: "EN" } satisfies components["schemas"]["Register"];
  empty("register", 202, await api.POST("/api/v1/auth/register", { body: register }));
  refused("log in too early", "auth.email_not_verified", await api.POST("/api/v1/auth/login", { body: credentials }));

  const weak = await api.POST("/api/v1/auth/register", { body: { ...register, password: "password123" } });
  refused("register with a weak password", "request.invalid", weak);
  if (weak.error === undefined || !shown(weak.error).startsWith("password ")) throw new Error("the weak field is not named");

  const token = await mailedToken(email);
  const proven = good("verify", await api.POST("/api/v1/auth/email/verify", { body: { token } }));
  if (proven.email !== email) throw new Error(`another address is proven: ${proven.email}`);

  const mistyped = await api.POST("/api/v1/auth/login", { body: { ...credentials, password: "salah sekali 9" } });
  refused("wrong password", "auth.invalid_credentials", mistyped);
  const wrongPassword = mistyped.error === undefined ? "" : shown(mistyped.error);
  if (wrongPassword !== "wrong address or password") throw new Error(`wrong password is shown as ${wrongPassword}`);

  const { user, tokens } = good("log in", await api.POST("/api/v1/auth/login", { body: credentials }));
  const me = good("read oneself", await api.GET("/api/v1/me", bearer(tokens.access_token)));
  if (me.id !== user.id || me.role !== "USER" || me.language !== "EN" || !me.email_verified) throw new Error("somebody else answers");
  refused("as an administrator", "auth.forbidden", await api.GET("/api/v1/admin/users", bearer(tokens.access_token)));

  const next = good("refresh", await api.POST("/api/v1/auth/refresh", { body: { refresh_token: tokens.refresh_token } }));
  if (next.refresh_token === tokens.refresh_token) throw new Error("the refresh token is the old one");
  good("read oneself again", await api.GET("/api/v1/me", bearer(next.access_token)));

  const session = { body: { refresh_token: next.refresh_token } };
  empty("log out", 204, await api.POST("/api/v1/auth/logout", session));
  refused("refresh after logout", "auth.invalid_refresh_token", await api.POST("/api/v1/auth/refresh", session));
  await within("the access token to be refused after logout", async () => {
    const { error } = await api.GET("/api/v1/me", bearer(next.access_token));
    return error?.code === "auth.invalid_token" ? true : undefined;
  });
  return `${me.name} registered, proved the mailed address, logged in, read /me, refreshed and logged out in ${calls} calls; a wrong password is ${mistyped.error?.code}`;
}

console.log(await walk());
