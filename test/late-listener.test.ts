import { get, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { afterEach, expect, it } from "@jest/globals";
import { lateListener } from "../src/late-listener.ts";
import { createServer } from "../src/node-http.ts";

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

const hello: RequestListener = (_req, res) => void res.end("hello");

/** What the listener answers to GET, asked once after the other. */
async function served(load: () => Promise<RequestListener>): Promise<() => Promise<string>> {
  const late = lateListener(
    load,
    (error, _req, res) => void res.writeHead(500).end((error as Error).message),
  );
  const server = createServer({}, late.serve).listen(0, "127.0.0.1");
  closers.push(() => server.close().closeAllConnections());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return async () => {
    const [response] = (await once(get({ port, host: "127.0.0.1", agent: false }), "response")) as [
      NodeJS.ReadableStream,
    ];
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return text;
  };
}

it("loads the listener once for all requests that wait for it", async () => {
  let loads = 0;
  let give = (_listener: RequestListener): void => {};
  const ask = await served(() => {
    loads += 1;
    return new Promise((resolve) => (give = resolve));
  });
  const answers = [ask(), ask()];
  while (loads === 0) await new Promise(setImmediate);
  give(hello);
  expect(await Promise.all(answers)).toEqual(["hello", "hello"]);
  expect(await ask()).toBe("hello");
  expect(loads).toBe(1);
});

it("tells a failed load to the request that met it, and tries again with the next", async () => {
  const loads = [() => Promise.reject(new Error("no file")), () => Promise.resolve(hello)];
  const ask = await served(() => (loads.shift() as () => Promise<RequestListener>)());
  expect(await ask()).toBe("no file");
  expect(await ask()).toBe("hello");
});

it("loads before the first request when asked to", () => {
  let loads = 0;
  const late = lateListener(
    () => {
      loads += 1;
      return Promise.reject(new Error("no file"));
    },
    () => {},
  );
  late.load();
  expect(loads).toBe(1);
});
