import type { Case } from "../case.ts";
import type { Difference } from "../difference.ts";
import { statusOf, type Rule } from "./rule.ts";

const inHeader =
  (name: string, fits: (theirs: Difference["theirs"], ours: Difference["ours"]) => boolean) =>
  ({ what, place, theirs, ours }: Difference): boolean =>
    what === "header" && place === name && fits(theirs, ours);

/** Texts and numbers as they read; anything else is no match. */
const textOf = (value: Difference["ours"]): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "";

const bodyOf = ({ wire }: Case): string => wire.body.toString("utf8");
const isIdsOnly = (request: Case): boolean => bodyOf(request).includes('"event_id_only"');

/** Places that say more than ids and counts, by upstream. */
const TELLING =
  /^(\/message\/data)?\/(aps|type|sender|sender_display_name|room_name|room_alias|membership|user_is_target|content(_\w+)?)$/;

/** Differences in a header, a payload or the form of an answer. */
export const detailRules: readonly Rule[] = [
  {
    name: "answers say that they are JSON",
    paragraph: "1 (response type)",
    everywhere: true,
    fits: ({ what, theirs, ours }) =>
      what === "content-type" && theirs === "text/html" && ours === "application/json",
  },
  {
    name: "errors are JSON with a code, never empty or HTML",
    paragraph: "1 (response body), 4.4",
    everywhere: true,
    fits: ({ what, ours }, _request, both) =>
      what === "body" &&
      Number(statusOf(both.ours)) >= 400 &&
      /^\{"errcode":"M_[A-Z_]+","error":"[^"]+"\}$/.test(textOf(ours)),
  },
  {
    name: "Apple is told the kind of push",
    paragraph: "7.1",
    everywhere: true,
    fits: inHeader(
      "apns-push-type",
      (theirs, ours) => theirs === undefined && /^(alert|background)$/.test(textOf(ours)),
    ),
  },
  {
    name: "Apple is told when a push is worth nothing any more",
    paragraph: "3.2",
    everywhere: true,
    fits: inHeader(
      "apns-expiration",
      (theirs, ours) => theirs === undefined && Number(ours) > Date.now() / 1_000,
    ),
  },
  {
    name: "Google is told when a push is worth nothing any more",
    paragraph: "3.2",
    everywhere: true,
    fits: ({ what, place, theirs, ours }) =>
      what === "payload" &&
      place === "/message/android/ttl" &&
      theirs === undefined &&
      /^\d+s$/.test(textOf(ours)),
  },
  {
    name: "a newer badge replaces an older one that waits at Apple",
    paragraph: "5 (rule 2)",
    everywhere: true,
    fits: inHeader("apns-collapse-id", (theirs, ours) => theirs === undefined && ours === "badge"),
  },
  {
    name: "a browser's push that is not low is urgent",
    paragraph: "2.1 (prio)",
    everywhere: true,
    fits: inHeader("urgency", (theirs, ours) => theirs === "normal" && ours === "high"),
  },
  {
    name: "a Topic has no padding, which RFC 8030 does not allow",
    paragraph: "7.3",
    everywhere: true,
    fits: inHeader(
      "topic",
      (theirs, ours) => theirs !== undefined && /^[A-Za-z0-9_-]{1,32}$/.test(textOf(ours)),
    ),
  },
  {
    name: "an app that asked for ids alone gets ids alone",
    paragraph: "10.2 row 35",
    fits: ({ what, place, theirs, ours }, request) =>
      what === "payload" &&
      request.row === "10.2/35" &&
      isIdsOnly(request) &&
      ((ours === undefined && TELLING.test(place)) || (theirs === undefined && place === "/unread_count")),
  },
  {
    name: "an empty sender is no sender",
    paragraph: "2.1 (sender)",
    fits: ({ what, place, theirs, ours }) =>
      what === "payload" && place === "/message/data/sender" && theirs === "" && ours === undefined,
  },
  {
    name: "a count that is no whole number from 0 is as if absent",
    paragraph: "10.3 row 44",
    fits: ({ what, place, theirs, ours }, request) =>
      what === "payload" &&
      request.row === "10.3/44" &&
      /\/(badge|unread)$/.test(place) &&
      ours === undefined &&
      /^(-1|1)$/.test(textOf(theirs)),
  },
  {
    name: "a count is clamped to what a phone can hold",
    paragraph: "10.3 row 44",
    fits: ({ what, place, theirs, ours }, request) =>
      what === "payload" &&
      request.row === "10.3/44" &&
      /\/(badge|unread)$/.test(place) &&
      Number(theirs) > 2_147_483_647 &&
      Number(ours) === 2_147_483_647,
  },
  {
    name: "a field of a wrong type is ignored",
    paragraph: "10.3 row 47",
    fits: ({ what, theirs, ours }, request) =>
      what === "payload" && request.row === "10.3/47" && theirs !== undefined && ours === undefined,
  },
  {
    name: "a text that is none is a message without content",
    paragraph: "10.3 row 48",
    fits: ({ what, place, theirs, ours }, request) =>
      what === "payload" &&
      request.row === "10.3/48" &&
      ((place === "/aps/alert/loc-key" && `${textOf(ours)}_WITH_CONTENT` === theirs) ||
        (place === "/aps/alert/loc-args" && Array.isArray(theirs) && typeof theirs.at(-1) !== "string")),
  },
  {
    name: "an invite whose target is not told is an invite",
    paragraph: "3.3, 10.3 row 50",
    fits: ({ what, place, theirs }, request) =>
      what === "payload" &&
      theirs === undefined &&
      /"membership":"invite"/.test(bodyOf(request)) &&
      !/"user_is_target":/.test(bodyOf(request)) &&
      /^\/(aps\/alert|room_id|event_id)$/.test(place),
  },
  {
    name: "a membership is read from the content where the field is missing",
    paragraph: "2.1 (membership)",
    fits: ({ what, place, theirs, ours }) =>
      what === "payload" && place === "/message/data/membership" && theirs === undefined && ours === "invite",
  },
  {
    name: "a text that is cut says so, and is cut where the limit is",
    paragraph: "9.13, 10.3 row 52",
    fits: ({ what, theirs, ours }) => {
      if (what !== "payload" || typeof theirs !== "string" || typeof ours !== "string") return false;
      const [ourHead, theirHead] = [ours.replace(/…$/, ""), theirs.replace(/…$/, "")];
      return ours.endsWith("…") && (ourHead.startsWith(theirHead) || theirHead.startsWith(ourHead));
    },
  },
  {
    name: "NUL is left out of texts",
    paragraph: "10.3 row 53",
    fits: ({ what, theirs, ours }) =>
      what === "payload" &&
      typeof theirs === "string" &&
      theirs.includes("\0") &&
      theirs.replaceAll("\0", "") === ours,
  },
];
