// `notifications:` with its URLs as references: one is read only when a message is sent.

import { RivetError } from "../errors.ts";
import { rememberSecret } from "../redact.ts";
import type { Reading } from "./reading.ts";
import type { NotificationConfig, WebhookConfig } from "./resolved.ts";
import type { RawConfig, RawWebhook } from "./shape.ts";

export function toNotifications({ notifications }: RawConfig, reading: Reading): NotificationConfig | null {
  if (notifications === undefined) return null;
  return {
    slack: toWebhook(notifications.slack, "slack", reading),
    webhook: toWebhook(notifications.webhook, "webhook", reading),
  };
}

function toWebhook(raw: RawWebhook | undefined, key: "slack" | "webhook", reading: Reading): WebhookConfig | null {
  if (raw === undefined) return null;
  const where = reading.parsed.where(["notifications", key]);
  if ((raw.webhook_url === undefined) === (raw.webhook_url_env === undefined)) {
    throw new RivetError(
      "RIVET_CONFIG_YAML_INVALID",
      `\`notifications.${key}\` needs exactly one of \`webhook_url\` and \`webhook_url_env\``,
      { where, cure: "Set `webhook_url_env`" },
    );
  }
  const { webhook_url: url, webhook_url_env: name } = raw;
  if (url !== undefined) checkUrl(url, key, where);
  return {
    on: raw.on ?? ["failure"],
    resolveUrl() {
      if (url !== undefined) return url;
      const found = reading.runtime.env(name!)?.trim();
      if (found !== undefined && found !== "") return checkUrl(found, key, where);
      throw new RivetError("RIVET_CONFIG_SECRET_UNSET", `The environment variable '${name}' is not set`, {
        where,
        cure: `Set it with \`export ${name}=VALUE\``,
      });
    },
  };
}

/** Whoever has the URL can post to it: it is a secret as a whole, and stands in no message. */
function checkUrl(url: string, key: string, where: string): string {
  rememberSecret(url);
  const parsed = URL.parse(url);
  if (parsed !== null && ["https:", "http:"].includes(parsed.protocol)) return url;
  throw new RivetError(
    "RIVET_CONFIG_VALUE_OUT_OF_RANGE",
    `The URL of \`notifications.${key}\` is no http or https URL`,
    {
      where,
      cure: "Give the whole URL, as the service shows it",
    },
  );
}
