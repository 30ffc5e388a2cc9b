// Jest's transform of a canary run: the types are erased as ever, after the changes.
const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const plain = require("../support/strip-types.cjs");
const { changed } = require("./changes.ts");

const mode = process.env.SIGNALBOX_CANARIES_MODE;
const changes = readFileSync(require.resolve("./changes.ts"));

module.exports = {
  getCacheKey: (source, file) =>
    createHash("sha256").update(changes).update(`${mode}\0${file}\0${source}`).digest("hex"),
  process: (source, file) => plain.process(changed(file, source, mode), file),
};
