import type { AdminRoute } from "./route.ts";

/** Nothing from elsewhere, nothing inline, in no frame: what the page shows came from strangers in part. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Signalbox</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/console.css">
<script src="/console.js" defer></script>
</head>
<body>
<header><h1>Signalbox</h1><p id="state" role="status">Asking the gateway …</p></header>
<form id="login" hidden><label>Token <input id="token" type="password" autocomplete="off"></label> <button>Open</button></form>
<main id="main" hidden>
<section><h2>Why did a phone stay silent?</h2>
<form id="explain"><label for="subject">Pushkey, event id or request id</label>
<input id="subject" autocomplete="off" spellcheck="false" required> <button>Explain</button></form>
<pre id="explanation" hidden aria-live="polite"></pre></section>
<section><h2>Alarms</h2><div id="alarms"></div></section>
<section><h2>Apps</h2><div id="apps"></div></section>
<section><h2>Removed apps, held</h2><div id="removed"></div></section>
<section><h2>Configuration</h2><button id="reload" type="button">Reload</button> <span id="reloaded" role="status"></span></section>
</main>
</body>
</html>
`;

const STYLE = `:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
input { font: inherit; padding: .3rem; width: min(36rem, 60vw); } button { font: inherit; padding: .3rem .8rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8886; padding: .8rem; }
.bad { color: #c22; font-weight: 600; } .good { color: #28723f; }
@media (prefers-color-scheme: dark) { .bad { color: #ff7b7b; } .good { color: #7bd88f; } }
#alarms, #apps, #removed { overflow-x: auto; }
label { display: inline-block; margin-right: .5rem; }
`;

/** Text is set as text only: an alarm or an app's name is never markup. */
const SCRIPT = `"use strict";
const $ = (id) => document.getElementById(id);
let token = "";
async function ask(path, body) {
  const response = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: { ...(token === "" ? {} : { authorization: "Bearer " + token }), ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}
function cell(row, text, kind) {
  const td = row.insertCell();
  td.textContent = text;
  if (kind !== undefined) td.className = kind;
}
function table(where, heads, rows, none) {
  const place = $(where);
  place.replaceChildren();
  if (rows.length === 0) { place.textContent = none; return; }
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const name of heads) { const th = document.createElement("th"); th.textContent = name; head.append(th); }
  const body = made.createTBody();
  for (const cells of rows) { const row = body.insertRow(); for (const [text, kind] of cells) cell(row, text, kind); }
  place.append(made);
}
const time = (iso) => (iso === undefined ? "" : new Date(iso).toLocaleString());
function circuits(app) {
  if (!Array.isArray(app.open_circuits)) return app.open_circuits === 0 ? "closed" : app.open_circuits + " of " + app.upstreams + " open";
  if (app.open_circuits.length === 0) return "closed";
  return app.open_circuits.map((each) => each.host + " open, next try in " + Math.ceil(each.next_try_in_ms / 1000) + " s").join("; ");
}
function guard(rejections) {
  if (rejections === "held: never-succeeded") return ["held until something is delivered"];
  return [rejections, rejections === "believed" ? "" : "bad"];
}
function show(status) {
  $("state").textContent = (status.ready ? "ready" : "not ready") + " · version " + status.version + " · store: " + status.store +
    (status.threads === undefined ? "" : " · threads: " + status.threads.serving + " of " + status.threads.wanted);
  $("state").className = status.ready ? "good" : "bad";
  table("alarms", ["last", "app", "alarm", "times", "what it means"], status.alarms.map((a) => [[time(a.last)], [a.app ?? ""], [a.alarm, "bad"], [String(a.count)], [a.message]]), "None since the start.");
  table("apps", ["app", "type", "credentials", "circuits", "answers that a token is dead", "known dead", "waiting", "under way", "last delivered"],
    status.apps.map((a) => [[a.app], [a.type], [a.credentials, a.credentials === "refused" ? "bad" : ""], [circuits(a), circuits(a) === "closed" ? "" : "bad"],
      guard(a.rejections), [String(a.remembered_rejections)], [String(a.outbox.pending)], [a.in_flight + " of " + a.in_flight_limit], [time(a.last_delivered)]]), "No apps.");
  table("removed", ["app", "held until", "waiting"], status.removed_apps.map((a) => [[a.app], [time(a.held_until)], [String(a.outbox.pending)]]), "None.");
}
async function refresh() {
  try {
    const { status, body } = await ask("/status");
    const wasOpen = !$("main").hidden;
    $("login").hidden = status !== 401;
    $("main").hidden = status === 401;
    if (status === 200) {
      show(body);
      if (!wasOpen) { $("token").value = ""; $("subject").focus(); }
      return;
    }
    $("state").className = "bad";
    $("state").textContent = status !== 401 ? body.error : token === "" ? "The token is asked for." : "The token is not right.";
    if (status === 401) { $("token").focus(); $("token").select(); }
  } catch { $("state").textContent = "The gateway does not answer."; $("state").className = "bad"; }
}
$("login").addEventListener("submit", (event) => { event.preventDefault(); token = $("token").value.trim(); void refresh(); });
$("explain").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("explanation").hidden = false;
  $("explanation").textContent = "…";
  try {
    const { body } = await ask("/explain", { subject: $("subject").value.trim() });
    $("explanation").textContent = body.text ?? body.error;
  } catch { $("explanation").textContent = "The gateway does not answer."; }
});
$("reload").addEventListener("click", async () => {
  $("reloaded").textContent = "…";
  try {
    const { body } = await ask("/reload", {});
    $("reloaded").textContent = body.ok ? "Reloaded." + (body.needs_restart.length === 0 ? "" : " At the next start only: " + body.needs_restart.join(", ")) : (body.problems ?? [body.error]).join("\\n");
  } catch { $("reloaded").textContent = "The gateway does not answer."; }
  void refresh();
});
void refresh();
setInterval(() => { if (!document.hidden && !$("main").hidden) void refresh(); }, 5000);
`;

/** The console: a page without a build, without anything from elsewhere. It holds no data; what it shows it asks for. */
export const consoleRoutes: readonly AdminRoute[] = [
  file("/", "The console page.", "text/html; charset=utf-8", PAGE, { "Content-Security-Policy": POLICY }),
  file("/console.css", "The console's style.", "text/css; charset=utf-8", STYLE),
  file("/console.js", "The console's script.", "text/javascript; charset=utf-8", SCRIPT),
];

function file(
  path: string,
  summary: string,
  contentType: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): AdminRoute {
  return {
    method: "GET",
    path,
    summary,
    // A browser cannot send the token for it; there is nothing to hide in it.
    open: true,
    handle: () => ({ status: 200, body, contentType, headers }),
  };
}
