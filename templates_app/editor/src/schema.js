// The rows of the variables table, and the JSON schema (2020-12, an object) that they stand for.
// A path is `name`, `user.name` or `items[].title`.

// `items[]` alone, a list of plain values, is the list itself.
const steps = (path) =>
  path.split(".").flatMap((part) => (part.endsWith("[]") ? [part.slice(0, -2), "[]"] : [part]));

const isGroup = (schema) => schema && typeof schema === "object" && !Array.isArray(schema);

export function parse(text) {
  try {
    const schema = JSON.parse(text || "{}");
    return isGroup(schema) ? schema : null;
  } catch {
    return null;
  }
}

export function rowsOf(schema, prefix = "") {
  const required = Array.isArray(schema.required) ? schema.required : [];
  return Object.entries(schema.properties || {}).flatMap(([name, below]) => {
    if (!isGroup(below)) return [];
    const path = prefix + name;
    const type = Array.isArray(below.type) ? below.type[0] : below.type || "";
    const example = Array.isArray(below.examples) ? below.examples[0] : undefined;
    const row = { path, type, required: required.includes(name), example };
    const items = isGroup(below.items) ? rowsOf(below.items, `${path}[].`) : [];
    return [row, ...rowsOf(below, `${path}.`), ...items];
  });
}

/** The schema that holds the last step of `path`, its name there, made where it is missing. */
function holderOf(schema, path) {
  let holder = schema;
  const way = steps(path.replace(/(\[\])+$/, ""));
  const name = way.pop();
  for (const step of way) {
    if (step === "[]") {
      holder.type = "array";
      holder.items = isGroup(holder.items) ? holder.items : {};
      holder = holder.items;
      continue;
    }
    holder.type = "object";
    holder.properties = isGroup(holder.properties) ? holder.properties : {};
    holder.properties[step] = isGroup(holder.properties[step]) ? holder.properties[step] : {};
    holder = holder.properties[step];
  }
  return [holder, name];
}

export function put(schema, { path, type, required, example }) {
  const [holder, name] = holderOf(schema, path);
  holder.type = "object";
  holder.properties = isGroup(holder.properties) ? holder.properties : {};
  const below = isGroup(holder.properties[name]) ? holder.properties[name] : {};
  holder.properties[name] = below;
  if (type) below.type = type;
  else delete below.type;
  if (type && type !== "array") delete below.items;
  if (type && type !== "object") {
    delete below.properties;
    delete below.required;
  }
  if (example === undefined) delete below.examples;
  else below.examples = [example];
  const others = (Array.isArray(holder.required) ? holder.required : []).filter((n) => n !== name);
  const all = required ? [...others, name].sort() : others;
  if (all.length) holder.required = all;
  else delete holder.required;
}

export function remove(schema, path) {
  const [holder, name] = holderOf(schema, path);
  if (isGroup(holder.properties)) delete holder.properties[name];
  const left = (Array.isArray(holder.required) ? holder.required : []).filter((n) => n !== name);
  if (left.length) holder.required = left;
  else delete holder.required;
}

/** What somebody typed as an example; throws what says why it is none. */
export function readExample(text, type) {
  if (text.trim() === "") return undefined;
  if (type === "string" || type === "") return text;
  if (type === "number" || type === "integer") {
    const number = Number(text);
    if (!Number.isFinite(number) || (type === "integer" && !Number.isInteger(number))) {
      throw new Error(type);
    }
    return number;
  }
  const value = JSON.parse(text);
  const found = Array.isArray(value) ? "array" : typeof value;
  if (found !== type) throw new Error(type);
  return value;
}

export function writeExample(example) {
  if (example === undefined || example === null) return "";
  return typeof example === "string" ? example : JSON.stringify(example);
}
