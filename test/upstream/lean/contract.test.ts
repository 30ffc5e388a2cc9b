import { openLeanWire } from "../../../src/upstream/lean/lean-wire.ts";
import { http2FaultsContract } from "../../contract/http2-faults.contract.ts";
import { http2GoawayContract } from "../../contract/http2-goaway.contract.ts";
import { http2PoolContract } from "../../contract/http2-pool.contract.ts";

http2PoolContract("lean", (socket, options, owner) => openLeanWire(socket, options, owner, 2 ** 31 - 21));
http2GoawayContract("lean");
http2FaultsContract("lean");
