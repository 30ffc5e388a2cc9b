// Before npm test: says in one line what is wrong instead of failing somewhere in the middle.
import { isNewEnough, tooOldMessage } from "./runtime.js";

if (!isNewEnough(process.versions.node)) {
  process.stderr.write(tooOldMessage("npm test"));
  process.exitCode = 1;
}
