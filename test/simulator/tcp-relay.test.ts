import { startSimulators } from "../../src/simulator/index.ts";
import type { Simulators } from "../../src/simulator/index.ts";
import { startTcpRelay } from "../../src/simulator/tcp-relay.ts";
import type { TcpRelay } from "../../src/simulator/tcp-relay.ts";
import { providerToken, RawClient } from "./raw-client.ts";

let simulators: Simulators;
let relay: TcpRelay;
let url: string;

beforeAll(async () => {
  simulators = await startSimulators();
  relay = await startTcpRelay(simulators.apns.port);
  url = `https://127.0.0.1:${relay.port}`;
});
afterAll(async () => {
  await relay.stop();
  await simulators.stop();
});

const push = (client: RawClient): Promise<{ status: number }> =>
  client.request(
    {
      ":path": "/3/device/aa",
      authorization: `bearer ${providerToken(simulators.credentials.apnsKey, Date.now())}`,
      "apns-topic": "com.example.app",
    },
    "{}",
  );

describe("a TCP relay", () => {
  it("goes silent without closing anything, and lets pass what it held back", async () => {
    const client = await RawClient.connect(url, simulators.credentials);
    relay.freeze();
    let answered = false;
    const held = push(client).then((answer) => {
      answered = true;
      return answer;
    });
    let connected = false;
    const late = RawClient.connect(url, simulators.credentials).then((second) => {
      connected = true;
      return second;
    });
    // A round trip past the relay shows that time enough went by.
    const direct = await RawClient.connect(simulators.apns.url, simulators.credentials);
    expect((await push(direct)).status).toBe(200);
    expect([answered, connected]).toEqual([false, false]);
    expect(simulators.recorder.counts.requests).toBe(1);
    relay.thaw();
    expect((await held).status).toBe(200);
    const second = await late;
    expect((await push(second)).status).toBe(200);
    expect(relay.connectionCount).toBe(2);
    await Promise.all([client.close(), second.close(), direct.close()]);
  });

  it("cuts every connection", async () => {
    const client = await RawClient.connect(url, simulators.credentials);
    relay.reset();
    await client.closed;
    expect(client.goaways).toEqual([]);
  });
});
