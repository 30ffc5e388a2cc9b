import base from "../../jest.config.js";

/** The whole suite, heard by test/canaries/tap.ts. @type {import("jest").Config} */
export default {
  ...base,
  rootDir: "../..",
  transform: { "\\.ts$": "<rootDir>/test/canaries/transform.cjs" },
  // Lets secrets out on purpose.
  testPathIgnorePatterns: ["/test/e2e/canaries-control\\.test\\.ts$"],
  setupFilesAfterEnv: ["<rootDir>/test/canaries/set-up.ts"],
};
