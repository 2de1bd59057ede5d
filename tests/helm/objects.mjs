// Checks Kubernetes objects against their types: node objects.mjs NODE_MODULES < OBJECTS
//
// OBJECTS is a JSON list of {"where": text, "object": {...}}. Each object is checked twice:
// by the validators made of Kubernetes' OpenAPI, which know formats and what is required,
// and by TypeScript against the types made of it, which knows fields that are not there.
// Prints a line for each problem; exit code 1 if there is any.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const modules = path.resolve(process.argv[2]);
const ts = createRequire(path.join(modules, "x.js"))("typescript");
const PACKAGES = ["kubernetes-models", "@kubernetes-models/keda", "@kubernetes-models/prometheus-operator"];

const modelOf = ({ apiVersion, kind }) =>
  PACKAGES.map((name) => path.join(modules, name, String(apiVersion), `${kind}.js`)).find(fs.existsSync);

// Containers that restart before others are newer than the types that there are.
function withoutNativeSidecars(object) {
  const copy = structuredClone(object);
  for (const container of copy.spec?.template?.spec?.initContainers ?? [])
    if (container.restartPolicy === "Always") delete container.restartPolicy;
  return copy;
}

async function validate(where, object, model, report) {
  const { [object.kind]: Model } = await import(pathToFileURL(model));
  try {
    new Model(object).validate();
  } catch (error) {
    report(where, error.message);
  }
}

// One file for each object, in memory: a literal of its type.
function checkTypes(entries, report) {
  const files = new Map();
  for (const [index, { where, object, model }] of entries.entries()) {
    const type = `I${object.kind}`;
    const source = `import type { ${type} } from ${JSON.stringify(model)};\n` +
      `export const object: ${type} = ${JSON.stringify(object, null, 1)};\n`;
    files.set(path.join(modules, `object${index}.mts`), { where, source });
  }
  const options = {
    noEmit: true, strict: true, skipLibCheck: true, types: [],
    module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.getSourceFile = (name, ...rest) => files.has(name)
    ? ts.createSourceFile(name, files.get(name).source, ts.ScriptTarget.ES2022)
    : getSourceFile.call(host, name, ...rest);
  host.fileExists = (name) => files.has(name) || fileExists.call(host, name);
  host.readFile = (name) => files.get(name)?.source ?? readFile.call(host, name);
  const program = ts.createProgram([...files.keys()], options, host);
  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
    const text = ts.flattenDiagnosticMessageText(messageText, " ");
    if (!file) throw new Error(text);
    const { line } = file.getLineAndCharacterOfPosition(start);
    report(files.get(file.fileName)?.where ?? file.fileName, `${file.text.split("\n")[line].trim()} ${text}`);
  }
}

let problems = 0;
const report = (where, text) => { problems++; console.log(`${where}: ${text}`); };
const entries = [];
for (const { where, object } of JSON.parse(fs.readFileSync(0, "utf8"))) {
  const model = modelOf(object);
  if (!model) report(where, `there is no type for ${object.apiVersion} ${object.kind}`);
  else entries.push({ where, object: withoutNativeSidecars(object), model });
}
for (const { where, object, model } of entries) await validate(where, object, model, report);
checkTypes(entries, report);
console.log(`${entries.length} objects, ${problems} problems`);
process.exit(problems ? 1 : 0);
