import assert from "node:assert/strict";
import { IOS, type RunningGateway } from "../../support/with-gateway.ts";
import type { Fault } from "../fault.ts";
import { freshIos, withGateway } from "../support/shared.ts";

const KEY = "pbx-key-7f3a9c1e5b";
const OTHER_KEY = "another-pbx-9d2c4e6f8a";
const JSON_TYPE = "application/json";
const FORM_TYPE = "application/x-www-form-urlencoded";

interface Said {
  readonly status: number;
  readonly text: string;
  /** `code` of the body, where there is one. */
  readonly code: number | undefined;
}

async function send(
  gateway: RunningGateway,
  path: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Said> {
  const response = await fetch(new URL(path, gateway.url), {
    method: "POST",
    headers: { "Content-Type": JSON_TYPE, "X-Api-Key": KEY, ...headers },
    body,
  });
  const text = await response.text();
  const isObject = response.headers.get("content-type") === JSON_TYPE && text.startsWith("{");
  return {
    status: response.status,
    text,
    code: isObject ? (JSON.parse(text) as { code: number }).code : undefined,
  };
}

const withSoftphone = (work: (gateway: RunningGateway) => Promise<string>): Promise<string> =>
  withGateway({ config: { softphone: { api_keys: [KEY, OTHER_KEY] } } }, work);

const notice = (overrides: object = {}): Record<string, unknown> => ({
  verb: "NotifyGenericTextMessage",
  AppId: IOS,
  DeviceToken: freshIos(),
  Message: "hello",
  ...overrides,
});
const asForm = (fields: object): string => new URLSearchParams(fields as Record<string, string>).toString();

/** What a PBX may do wrong (reliability 2, B22 and B26). */
export const softphoneFaults: readonly Fault[] = [
  {
    number: "B22",
    fault: "send with missing or unknown token or verb; form, JSON, query; wrong charset",
    tier: 1,
    ci: true,
    run: () =>
      withSoftphone(async (gateway) => {
        const asked = gateway.asked();
        const wrong = [
          { verb: undefined },
          { verb: "NotifyNothing" },
          { verb: 1 },
          { DeviceToken: undefined },
          { DeviceToken: "not a token" },
          { DeviceToken: [] },
          { AppId: "org.nobody" },
          { AppId: undefined },
          { Message: undefined },
          { Badge: "many" },
        ];
        for (const fields of wrong) {
          const single = await send(gateway, "/pnm2/send", JSON.stringify(notice(fields)));
          assert.deepEqual([single.status, single.code], [200, 400], JSON.stringify(fields));
        }
        for (const fields of [{ verb: "" }, { verb: "x" }, { DeviceToken: "" }, { AppId: "org.nobody" }]) {
          const form = await send(gateway, "/pnm2", asForm(notice(fields)), { "Content-Type": FORM_TYPE });
          assert.equal(form.status, 400, JSON.stringify(fields));
        }
        const query = await send(gateway, `/pnm2?${asForm(notice())}`, "", { "Content-Type": FORM_TYPE });
        assert.equal(query.status, 400);
        const crossed = [
          ["/pnm2/send", asForm(notice()), FORM_TYPE],
          ["/pnm2/send", JSON.stringify(notice()), "text/plain"],
          ["/pnm2", JSON.stringify(notice()), JSON_TYPE],
          ["/pnm2", "verb=NotifyGenericTextMessage&Message=%E9", `${FORM_TYPE}; charset=latin1`],
          ["/pnm2/send", "null", `${JSON_TYPE}; charset=utf-16`],
        ] as const;
        for (const [path, body, type] of crossed) {
          assert.equal(
            (await send(gateway, path, body, { "Content-Type": type })).status,
            400,
            `${path} ${type}`,
          );
        }
        assert.equal(gateway.asked(), asked);
        const list = Array.from({ length: 500 }, (_, i) => (i === 123 ? null : notice()));
        const many = await send(gateway, "/pnm2/multisend", JSON.stringify(list));
        const codes = (JSON.parse(many.text) as { code: number }[]).map(({ code }) => code);
        assert.equal(codes[123], 400);
        assert.equal(codes.filter((code) => code === 200).length, 499);
        return `${wrong.length} objects code 400, 10 requests HTTP 400, 499 of 500 served`;
      }),
  },
  {
    number: "B26",
    fault: "Idempotency-Key with another body, of 256 characters, of another credential",
    tier: 1,
    ci: true,
    run: () =>
      withSoftphone(async (gateway) => {
        const asked = gateway.asked();
        const body = JSON.stringify(notice());
        const key = { "Idempotency-Key": "order-17" };
        const all = await Promise.all(
          Array.from({ length: 20 }, () => send(gateway, "/pnm2/send", body, key)),
        );
        assert.deepEqual([...new Set(all.map(({ status, code }) => `${status} ${code ?? 0}`))], ["200 200"]);
        assert.equal(gateway.asked(), asked + 1);
        const other = await send(gateway, "/pnm2/send", JSON.stringify(notice()), key);
        assert.deepEqual([other.status, other.code], [422, 422]);
        for (const long of ["k".repeat(256), "k".repeat(4_000)]) {
          const refused = await send(gateway, "/pnm2/send", body, { "Idempotency-Key": long });
          assert.deepEqual([refused.status, refused.code], [400, 400]);
        }
        assert.equal(gateway.asked(), asked + 1);
        const another = await send(gateway, "/pnm2/send", body, { ...key, "X-Api-Key": OTHER_KEY });
        assert.deepEqual([another.status, another.code], [200, 200]);
        assert.equal(gateway.asked(), asked + 2);
        return "20 at once sent 1; another body 422; 256 characters 400; another credential sent";
      }),
  },
];
