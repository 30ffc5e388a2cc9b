import { pushkinContract } from "../../contract/pushkin.contract.ts";
import { openApns } from "./rig.ts";

pushkinContract("apns", () => openApns());
