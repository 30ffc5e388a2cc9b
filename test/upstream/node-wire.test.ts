import http2 from "node:http2";
import { openNodeWire } from "../../src/upstream/node-wire.ts";
import type { OpenWire } from "../../src/upstream/wire.ts";
import { http2FaultsContract } from "../contract/http2-faults.contract.ts";
import { http2GoawayContract } from "../contract/http2-goaway.contract.ts";
import { http2PoolContract } from "../contract/http2-pool.contract.ts";

/** Node has a function for this that is in no type. */
const nearLastStream: OpenWire = (...parameters) => {
  const { connect } = http2;
  http2.connect = ((...args: Parameters<typeof connect>) => {
    const session = connect(...args);
    session.once("remoteSettings", () => {
      if ("setNextStreamID" in session && typeof session.setNextStreamID === "function" && !session.destroyed)
        session.setNextStreamID(2 ** 31 - 21);
    });
    return session;
  }) as typeof connect;
  try {
    return openNodeWire(...parameters);
  } finally {
    http2.connect = connect;
  }
};

http2PoolContract("node", nearLastStream);
http2GoawayContract("node");
http2FaultsContract("node");
