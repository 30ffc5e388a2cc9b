import { pushkinContract } from "../../contract/pushkin.contract.ts";
import { pushToEndpoint, startUnifiedPush } from "../push-service/fixture.ts";

pushkinContract(
  "unifiedpush",
  async () => {
    const rig = await startUnifiedPush();
    return {
      pushkin: rig.pushkin,
      push: pushToEndpoint(rig.simulator.register()),
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
