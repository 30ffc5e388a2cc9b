import type { TSchema } from "@sinclair/typebox";
import type { Operation } from "../../http/openapi.ts";
import { Type } from "../../json-schema.ts";

const text = (description: string) => Type.Optional(Type.String({ description }));

/** One push. Which attributes are required depends on the verb; unknown ones are ignored. */
export const Send = Type.Object({
  verb: Type.Unsafe<string>({
    type: "string",
    enum: ["NotifyTextMessage", "NotifyGenericTextMessage", "NotifyReprovision"],
  }),
  AppId: text(
    "The app, as configured; or none, with a registry, where Selector or Account says the devices.",
  ),
  DeviceToken: text("The device, in base64 as the app reports it."),
  Selector: text("Which of the app's accounts it is for. Required but for NotifyGenericTextMessage."),
  Account: text("Instead of AppId and DeviceToken: every device of this account."),
  Message: text("The text of a generic message, the preview of another."),
  Badge: Type.Optional(
    Type.Union([Type.Integer({ minimum: 0 }), Type.String({ pattern: "^\\d{0,15}$" })], {
      description: "Total unread.",
    }),
  ),
  Sound: text("`default`, a bundled file's name, or none."),
  UserName: text("The sender."),
  UserDisplayName: text("The sender's name; wins."),
  ContentType: text("Of the message; some are silent."),
  Id: text("The message's id."),
  ThreadId: text("Groups messages."),
});

const said = { code: Type.Integer(), status: Type.Integer(), response: Type.String() };
/** What became of one push: `code` and `status` are always equal. */
export const Sent = Type.Object({
  ...said,
  devices: Type.Optional(Type.Array(Type.Object({ AppId: Type.String(), ...said }))),
});
const Line = Type.String();
const security = ["bearer", "apiKey"] as const;
const refused = (description: string) => ({ description, schema: Sent });
const jsonRefusals = {
  400: refused("No JSON, no object, another content type or method."),
  401: refused("The key is missing or wrong."),
  413: refused("The body is too large, or has too many pushes."),
  422: refused("The Idempotency-Key came with another body before."),
  500: refused("The gateway failed."),
};
const repeat = {
  name: "Idempotency-Key",
  in: "header",
  description: "Names the request, so that a repeat is none.",
} as const;
const lines = (description: string) => ({
  description,
  schema: Line,
  contentType: "text/plain; charset=utf-8",
});

/** The softphones' push API as it is described. */
export function describeSoftphone(path: string): readonly Operation[] {
  const json = { method: "post", tag: "softphone", security, parameters: [repeat] } as const;
  const many: TSchema = Type.Union([Type.Array(Type.Unknown()), Send]);
  return [
    {
      ...json,
      path: `${path}/send`,
      summary: "One push. What became of it is in the body's `code`.",
      body: { "application/json": Send },
      answers: { 200: { description: "What became of it.", schema: Sent }, ...jsonRefusals },
    },
    {
      ...json,
      path: `${path}/multisend`,
      summary: "A list of pushes; an answer for each, in its place.",
      body: { "application/json": many },
      answers: { 200: { description: "The answers.", schema: Type.Array(Sent) }, ...jsonRefusals },
    },
    {
      ...json,
      path,
      summary: "One push by the legacy form; the HTTP status says what became of it.",
      body: { "application/x-www-form-urlencoded": Send },
      answers: {
        200: lines("Sent."),
        400: lines("A parameter is missing or wrong."),
        401: lines("The key is missing or wrong."),
        404: lines("The token is dead."),
        413: lines("The body is too large."),
        422: lines("The Idempotency-Key came with another body before."),
        500: lines("It could be neither handed over nor kept."),
      },
    },
  ];
}
