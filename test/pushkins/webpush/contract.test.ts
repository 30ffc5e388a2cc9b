import { pushkinContract } from "../../contract/pushkin.contract.ts";
import { pushTo, startWebPush } from "../push-service/fixture.ts";

for (const http2 of [undefined, "node", "lean"] as const) {
  pushkinContract(
    http2 === undefined ? "webpush" : `webpush, over HTTP/2 by ${http2},`,
    async () => {
      const rig = await startWebPush({
        ...(http2 === undefined ? {} : { http2 }),
        simulator: { acceptedStatus: 200 },
      });
      return {
        pushkin: rig.pushkin,
        push: pushTo(rig.simulator.subscribe()),
        clock: rig.clock,
        passTime: (ms) => rig.clock.advance(ms),
        answerWith: (answer) => rig.answerWith(answer),
        requests: rig.requests,
        stopUpstream: () => rig.simulator.stop(),
        stop: () => rig.stop(),
      };
    },
    { rejectingStatuses: [404, 410] },
  );
}
