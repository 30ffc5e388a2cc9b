/**
 * An HTTP/2 server that does as little as it can: each request is answered 200 when its END_STREAM comes, without a
 * look at its headers. So that what is measured is the client. A process of its own for `http2-clients.ts`.
 */
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { frame, testCertificate } from "../test/support/upstream-server.ts";

const settings = Buffer.alloc(12);
settings.writeUInt16BE(3, 0); // MAX_CONCURRENT_STREAMS
settings.writeUInt32BE(1000, 2);
settings.writeUInt16BE(1, 6); // HEADER_TABLE_SIZE
settings.writeUInt32BE(4096, 8);
const windowUpdate = Buffer.alloc(4);
windowUpdate.writeUInt32BE(2 ** 30, 0);
const answer = frame(1, 5, 0, Buffer.from([0x88])); // HEADERS, END_STREAM, :status 200

const server = tls.createServer({ ...testCertificate("localhost"), ALPNProtocols: ["h2"] }, (socket) => {
  let pending: Buffer = Buffer.alloc(0);
  let skip = 24;
  let received = 0;
  socket.on("error", () => {});
  socket.setNoDelay(true);
  socket.write(Buffer.concat([frame(4, 0, 0, settings), frame(8, 0, 0, windowUpdate)]));
  socket.on("data", (chunk: Buffer) => {
    const bytes = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let at = Math.min(skip, bytes.length);
    skip -= at;
    const answers: Buffer[] = [];
    while (bytes.length - at >= 9) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at < 9 + length) break;
      const [type, flags, id] = [bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5)];
      at += 9 + length;
      if (type === 0) received += length;
      if (type === 4 && (flags & 1) === 0) answers.push(frame(4, 1, 0));
      if (type <= 1 && (flags & 1) !== 0) {
        const copy = Buffer.from(answer);
        copy.writeUInt32BE(id, 5);
        answers.push(copy);
      }
    }
    pending = bytes.subarray(at);
    if (received > 2 ** 29) {
      const update = Buffer.alloc(4);
      update.writeUInt32BE(received, 0);
      answers.push(frame(8, 0, 0, update));
      received = 0;
    }
    if (answers.length > 0) socket.write(Buffer.concat(answers));
  });
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});
process.on("disconnect", () => process.exit());
