import { connect } from "node:net";
import type { Answer, Wire } from "./case.ts";

const SILENCE_MS = 12_000;

/** Sends a request byte for byte as it is given, and reads the answer until the connection ends. */
export function rawRequest(port: number, wire: Wire): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const chunks: Buffer[] = [];
    const finish = (answer: Answer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish({ kind: "silence" }), SILENCE_MS);
    socket.on("connect", () => {
      socket.write(headOf(wire));
      socket.write(wire.sender === "never-ends" ? wire.body.subarray(0, -1) : wire.body, () => {
        if (wire.sender === "hangs-up") finish({ kind: "left" });
      });
    });
    socket.on("data", (chunk) => void chunks.push(chunk));
    const ended = (): void => finish(parseAnswer(Buffer.concat(chunks)));
    socket.on("error", ended);
    socket.on("close", ended);
  });
}

function headOf({ method, path, version, headers, body }: Wire): string {
  const lines = Object.entries({
    host: "gateway.example",
    connection: "close",
    ...(method === "GET" || method === "HEAD" ? {} : { "content-length": String(body.length) }),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/${version}\r\n${lines.join("")}\r\n`;
}

function parseAnswer(bytes: Buffer): Answer {
  const text = bytes.toString("latin1");
  const split = text.indexOf("\r\n\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1]);
  if (split < 0 || Number.isNaN(status)) return { kind: "cut" };
  const head = text.slice(0, split).toLowerCase();
  const raw = bytes.subarray(split + 4);
  const body = /^transfer-encoding: *chunked/m.test(head) ? unchunk(raw) : raw;
  const contentType = /^content-type: *([^;\r\n]+)/m.exec(head)?.[1]?.trim() ?? "";
  return { kind: "answer", status, contentType, body: body.toString("utf8") };
}

function unchunk(raw: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = raw.indexOf("\r\n", at);
    const size = Number.parseInt(raw.toString("latin1", at, end), 16);
    if (end < 0 || Number.isNaN(size) || size === 0) return Buffer.concat(parts);
    parts.push(raw.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
