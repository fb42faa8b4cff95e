// One lane of a run: its connection is made when first needed, and made anew after it was lost.

import { RivetError, toRivetError } from "../errors.ts";
import { withCredentials } from "../destination/mod.ts";
import type { SourceConnection } from "../source/mod.ts";
import type { Lane } from "./lane.ts";
import { worst } from "./level.ts";
import { limitsOf, type Run } from "./run.ts";

export class LaneHolder implements AsyncDisposable {
  #lane: Lane | null = null;
  #opened = false;

  constructor(private readonly run: Run, private readonly connection: SourceConnection) {}

  async open(): Promise<Lane> {
    const { context, task, picture } = this.run;
    const refreshDestination = () => withCredentials(task.destination, (name) => context.runtime.env(name));
    if (this.#lane !== null) return this.#lane;
    // A connection that was lost took its own picture with it.
    if (this.#opened && picture.token === null && this.run.slices.length > 1) {
      picture.consistency = worst(picture.consistency, "slice");
    }
    this.#opened = true;
    this.#lane = await context.openLane({
      source: this.connection,
      limits: limitsOf({ entry: task.export }),
      destination: await refreshDestination(),
      snapshot: picture.token,
    }, { refreshDestination, warn: (message) => this.run.recorder.warnOnce("destination", message) }).catch((error) => {
      throw picture.token === null ? error : describeJoin(toRivetError(error));
    });
    // Too late to join: this lane sees a moment of its own.
    const level = picture.token !== null && !this.#lane.joined ? "slice" : "snapshot";
    picture.consistency = worst(picture.consistency, this.#lane.consistency, level);
    return this.#lane;
  }

  async drop(): Promise<void> {
    const lane = this.#lane;
    this.#lane = null;
    await lane?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drop();
  }
}

/** The server refuses to join a picture whose holder is gone: that is an outage, not a mistake in a statement. */
function describeJoin(error: RivetError): RivetError {
  if (error.code !== "RIVET_SOURCE_QUERY_FAILED") return error;
  return new RivetError("RIVET_SOURCE_CONNECTION_LOST", "The shared picture is gone with the connection that held it", {
    ...(error.where === null ? {} : { where: error.where }),
    retry: "reconnect",
    cause: error,
  });
}
