// A client made from credentials that may expire: made again, once for all who wait, when the store says they have.

import type { ResolvedDestination } from "./resolved.ts";

export interface Renewal<Location extends ResolvedDestination, Client> {
  readonly location: Location;
  readonly refresh: () => Promise<ResolvedDestination>;
  readonly connect: (location: Location) => Client;
  readonly close: (client: Client) => void;
  /** Whether an error says that the credentials are no longer good. */
  readonly isExpired: (error: unknown) => boolean;
}

export class RenewableClient<Location extends ResolvedDestination, Client> {
  #client: Client;
  #renewing: Promise<void> | null = null;

  constructor(private readonly renewal: Renewal<Location, Client>) {
    this.#client = renewal.connect(renewal.location);
  }

  /** Calls the store; when the credentials have expired, once more with new ones. The call must be repeatable. */
  async call<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#client;
    try {
      return await ask(client);
    } catch (error) {
      if (!this.renewal.isExpired(error)) throw error;
      if (client === this.#client) await (this.#renewing ??= this.#renew());
      return await ask(this.#client);
    }
  }

  async #renew(): Promise<void> {
    try {
      const { location, refresh, connect, close } = this.renewal;
      const fresh = await refresh();
      const old = this.#client;
      this.#client = connect({ ...location, ...fresh } as Location);
      close(old);
    } finally {
      this.#renewing = null;
    }
  }

  close(): void {
    this.renewal.close(this.#client);
  }
}
