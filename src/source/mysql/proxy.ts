// What stands between us and the server. Found out once a connection, only ever a notice: reads stay right behind any of these.

import type { Session } from "./connect.ts";

export interface ServerFacts {
  readonly version: string;
  readonly mariadb: boolean;
  /** The server's own id of this connection, as a statement sees it. */
  readonly connectionId: string;
  /** `ProxySQL`, `MaxScale`, `a multiplexing proxy`, `a proxy`, or null for a direct connection. */
  readonly proxy: string | null;
}

export async function readServerFacts(session: Session): Promise<ServerFacts> {
  const [version, comment, first] =
    (await session.ask("SELECT VERSION(), @@version_comment, CONNECTION_ID()")).rows[0] ?? [];
  const [second] = (await session.ask("SELECT CONNECTION_ID()")).rows[0] ?? [];
  const text = `${version} ${comment}`.toLowerCase();
  return {
    version: version ?? "",
    mariadb: text.includes("mariadb"),
    connectionId: second ?? "",
    proxy: await nameProxy(session, text, first ?? "", second ?? ""),
  };
}

async function nameProxy(session: Session, banner: string, first: string, second: string): Promise<string | null> {
  // ProxySQL answers for the connection's id itself, so only its own statement gives it away.
  if (banner.includes("proxysql") || await understands(session, "PROXYSQL INTERNAL SESSION")) return "ProxySQL";
  if (banner.includes("maxscale")) return "MaxScale";
  if (first !== second) return "a multiplexing proxy";
  return second === String(session.threadId) ? null : "a proxy";
}

async function understands(session: Session, sql: string): Promise<boolean> {
  try {
    await session.ask(sql);
    return true;
  } catch {
    return false;
  }
}
