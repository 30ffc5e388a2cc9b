import { program } from "./cli/index.ts";

// A parsed `__proto__` key must never reach a prototype, whatever a dependency does with it (reliability H09).
Reflect.deleteProperty(Object.prototype, "__proto__");

await (await program(process.argv.slice(2))).parseAsync();
