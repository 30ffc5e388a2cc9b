/** The apps of the comparison's `sygnal.yaml`: those of the corpus and those of the recorded notifications. */
export const corpusApps = {
  ios: "com.example.ios",
  android: "com.example.android",
  web: "com.example.web",
  /** Its `allowed_endpoints` name another push service. */
  webLimited: "com.example.limited",
  /** Fits two patterns, of which one is more specific. */
  twoPatterns: "com.example.pattern.alpha",
  /** Nobody serves it. */
  unknown: "com.example.nobody",
} as const;

/** An app as both gateways are configured with. */
export interface AppKey {
  /** The key under `apps`, wildcards and all. */
  readonly key: string;
  readonly type: "apns" | "gcm" | "webpush";
  readonly allowedEndpoints?: readonly string[];
}

/** In the order of the file. */
export const appKeys: readonly AppKey[] = [
  { key: corpusApps.ios, type: "apns" },
  { key: corpusApps.android, type: "gcm" },
  { key: corpusApps.web, type: "webpush" },
  { key: corpusApps.webLimited, type: "webpush", allowedEndpoints: ["push.example.net"] },
  { key: "com.example.pattern.*", type: "apns" },
  { key: "com.example.pattern.al*", type: "apns" },
  { key: "io.example.elementish.ios.*", type: "apns" },
  { key: "org.harbour.chat.ios.prod", type: "apns" },
  { key: "org.harbour.wrongtopic.ios", type: "apns" },
  { key: "im.vector.app.android", type: "gcm" },
  { key: "org.harbour.chat.android", type: "gcm" },
  { key: "chat.fluffy.fluffychat.*", type: "gcm" },
  { key: "com.example.sealed", type: "gcm" },
  { key: "org.harbour.web", type: "webpush" },
];

/** The topic of all APNs apps. */
export const APNS_TOPIC = "com.example.app";
