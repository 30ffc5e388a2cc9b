import type { Rule } from "../../../../src/simulator/script.ts";
import type { Case } from "../case.ts";
import { apnsToken, type Maker } from "./maker.ts";

/** Rows of matrix-push 10.4 that one request can show: what the upstreams' answers come to. */
export function outcomeRows(make: Maker): readonly Case[] {
  const apns = (row: string, reason: string, status: number): Case => {
    const device = make.ios();
    const rule: Rule = {
      upstream: "apns",
      token: apnsToken(device),
      answer: { kind: "error", reason, status },
    };
    return make.scripted(make.post(row, `APNs ${status} ${reason}`, make.message({}, device)), rule);
  };
  const fcm = (row: string, reason: string, status: number): Case => {
    const device = make.android();
    const rule: Rule = {
      upstream: "fcm",
      token: String(device["pushkey"]),
      answer: { kind: "error", reason, status },
    };
    return make.scripted(make.post(row, `FCM ${status} ${reason}`, make.message({}, device)), rule);
  };
  const web = (row: string, status: number): Case => {
    const device = make.web();
    const { endpoint } = device["data"] as { endpoint: string };
    const rule: Rule = {
      upstream: "webpush",
      token: endpoint.split("/").at(-1) ?? "",
      answer: { kind: "raw", status },
    };
    return make.scripted(make.post(row, `push service ${status}`, make.message({}, device)), rule);
  };
  return [
    apns("10.4/54", "Unregistered", 410),
    fcm("10.4/54", "UNREGISTERED", 404),
    web("10.4/54", 410),
    web("10.4/54", 404),
    apns("10.4/57", "PayloadTooLarge", 413),
    apns("10.4/57", "BadCollapseId", 400),
    fcm("10.4/57", "INVALID_ARGUMENT", 400),
  ];
}
