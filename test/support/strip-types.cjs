// Jest transforms with what Node itself does to a .ts file: erase the types, keep every line and column.
const { stripTypeScriptTypes } = require("node:module");

module.exports = {
  process(source, filename) {
    return { code: filename.endsWith(".ts") ? stripTypeScriptTypes(source, { mode: "strip" }) : source };
  },
};
