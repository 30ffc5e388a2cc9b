/*
 * `node:http` for what a gateway loads at its start. To import it as an ES module reads every export, of which some are
 * only made when they are read: WebSocket and its events bring the whole of fetch, 12 MiB and 40 ms for nobody.
 */

/** As in `node:http`; for types import that. */
export const { Agent, createServer, request, STATUS_CODES } = process.getBuiltinModule("node:http");
