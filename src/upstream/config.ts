import type { Static } from "@sinclair/typebox";
import { cidrs, oneOf, secret, section } from "../config/fields.ts";
import { Type } from "../json-schema.ts";

/** `proxy`: Sygnal's key; the environment's `HTTPS_PROXY` counts when it is absent (sygnal-compat 16). */
export const ProxyConfig = Type.Optional(
  secret({
    reads: "proxy_url",
    description:
      "Forward proxy for everything outgoing: http://[user:password@]host[:port]. Default: HTTPS_PROXY. NO_PROXY is not heard.",
  }),
);

/** `outbound`: where endpoints that users supply may lead. */
export const OutboundConfig = section(
  {
    allow_addresses: cidrs({
      description:
        "Addresses that user-supplied endpoints may reach although they are not public, on any port.",
    }),
    allow_ports: Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), {
      default: [443],
      minItems: 1,
      uniqueItems: true,
      description: "Ports that user-supplied endpoints may name.",
    }),
    allow_http: Type.Boolean({
      default: false,
      description: "Plain http to addresses of `allow_addresses`; never to any other.",
    }),
  },
  { description: "Where endpoints that users supply (Web Push, UnifiedPush) may lead." },
);

/** `upstream`: how upstreams are spoken to. */
export const UpstreamConfig = section(
  {
    http2: oneOf(["node", "lean"], {
      default: "node",
      description:
        "Who speaks HTTP/2: `node`, Node's own client, or `lean`, Signalbox's own, which takes a fraction of the time.",
    }),
    http2_to_push_services: Type.Boolean({
      default: false,
      description: "HTTP/2 towards Web Push and UnifiedPush services as well. APNs and FCM always use it.",
    }),
  },
  { description: "How upstreams are spoken to." },
);

/** CIDRs as `address/prefix`. */
export type OutboundSettings = Static<typeof OutboundConfig>;
export type UpstreamSettings = Static<typeof UpstreamConfig>;
