// Imported first in a lane: libraries see an empty environment instead of asking for one they may not read.

import process from "node:process";

Object.defineProperty(process, "env", {
  value: { HOME: "/nonexistent" },
  configurable: true,
  writable: true,
  enumerable: true,
});
