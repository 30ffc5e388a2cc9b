import type { Secret } from "./secrets.ts";

/** How a secret may be written, other than as it came: a base64 device token in hex, in a URL, inside of JSON. */
function forms(secret: string): readonly string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  const all = [secret, json];
  if (secret.length <= 1_024) {
    all.push(encodeURIComponent(secret.toWellFormed()));
    if (/^[A-Za-z0-9+/]{43}=$/.test(secret)) all.push(Buffer.from(secret, "base64").toString("hex"));
  }
  return [...new Set(all)];
}

/** Every text is looked at in pieces of this length: the shortest secret. */
const GRAM = 8;

/** Finds any of many secrets in many texts. */
export class Search {
  /** By their first eight characters. */
  readonly #forms = new Map<string, { readonly form: string; readonly secret: Secret }[]>();

  constructor(secrets: Iterable<Secret>) {
    for (const secret of secrets) {
      for (const form of forms(secret.secret)) {
        const start = form.slice(0, GRAM);
        const list = this.#forms.get(start);
        if (list === undefined) this.#forms.set(start, [{ form, secret }]);
        else list.push({ form, secret });
      }
    }
  }

  /** The secrets in a text, each with what stands around it. */
  in(text: string): readonly (Secret & { readonly around: string })[] {
    const found: (Secret & { around: string })[] = [];
    for (let i = 0; i + GRAM <= text.length; i += 1) {
      for (const { form, secret } of this.#forms.get(text.slice(i, i + GRAM)) ?? []) {
        if (!text.startsWith(form, i)) continue;
        found.push({ ...secret, around: text.slice(Math.max(0, i - 120), i + form.length + 40) });
      }
    }
    return found;
  }
}
