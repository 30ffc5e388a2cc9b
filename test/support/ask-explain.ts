import { createCredentials } from "../../src/simulator/credentials.ts";
import { freePort } from "./free-port.ts";
import { iosPushkey, startGateway, type GatewaySetUp, type RunningGateway } from "./with-gateway.ts";

const credentials = createCredentials();
let made = 0;

/** What the admin listener answers to a question. */
export interface Explained {
  readonly found: boolean;
  readonly text: string;
  readonly now: readonly string[];
  readonly pushes: readonly Readonly<Record<string, unknown>>[];
  readonly refused?: Readonly<Record<string, unknown>>;
}

/** A gateway that can be asked, and that waits half a second for an upstream. */
export async function withAskedGateway<T>(
  setUp: GatewaySetUp,
  work: (gateway: RunningGateway) => Promise<T>,
): Promise<T> {
  const gateway = await startGateway({
    ...setUp,
    simulators: { credentials },
    config: { admin: { port: await freePort() }, delivery: { answer_within: "500ms" }, ...setUp.config },
  });
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
  }
}

/** Asks a gateway's admin listener. */
export async function ask(gateway: Pick<RunningGateway, "adminUrl">, subject: string): Promise<Explained> {
  const response = await fetch(`${gateway.adminUrl}/explain`, {
    method: "POST",
    body: JSON.stringify({ subject }),
  });
  return (await response.json()) as Explained;
}

/** Asks until the text fits, for 20 s at most; gives the last text. */
export async function askUntil(
  gateway: Pick<RunningGateway, "adminUrl">,
  subject: string,
  words: RegExp,
): Promise<string> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    const { text } = await ask(gateway, subject);
    if (words.test(text) || performance.now() > endMs) return text;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A device token that nobody has used. */
export function freshPushkey(): string {
  made += 1;
  return iosPushkey(`ee${made.toString(16).padStart(8, "0")}`);
}
