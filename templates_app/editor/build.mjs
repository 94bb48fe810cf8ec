// Writes the bundle that is committed. With `--check` it compares instead, and says what differs.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "static", "templates_app");

const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: { editor: "src/main.js" },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none",
  outdir: target,
  banner: {
    js: "/* Built by `make editor` from templates_app/editor. CodeMirror: MIT, (C) Marijn Haverbeke and others. */",
    css: "/* Built by `make editor` from templates_app/editor. */",
  },
  write: false,
});

const stale = [];
mkdirSync(target, { recursive: true });
for (const file of outputFiles) {
  const name = relative(join(here, "..", ".."), file.path);
  if (process.argv.includes("--check")) {
    let committed = "";
    try {
      committed = readFileSync(file.path, "utf8");
    } catch {
      // Missing: as good as different.
    }
    if (committed !== file.text) stale.push(name);
  } else {
    writeFileSync(file.path, file.text);
    console.log(`${name}: ${Math.round(file.contents.length / 1024)} kB`);
  }
}
if (stale.length) {
  console.error(`Not what the build makes: ${stale.join(", ")}. Run \`make editor\`.`);
  process.exit(1);
}
