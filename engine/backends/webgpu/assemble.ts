import { functionsCalledIn } from './functions.ts';
import type { Binding, Shader } from './shader.ts';

/** Shaders that run together: the WGSL of them all, the memory behind its bindings, and how many workgroups run along x and y. */
export interface Assembly {
  readonly code: string;
  readonly bindings: readonly Binding[];
  readonly workgroups: readonly [number, number];
}

/** How many workgroups WebGPU allows along one axis; larger grids go on in the next row. */
const ROW = 65535;

/** What WGSL must be told that it uses, by what shows it. */
const extensionsFor: Readonly<Record<string, RegExp>> = {
  f16: /\bf16\b/,
  subgroups: /\bsubgroup/,
  chromium_experimental_subgroup_matrix: /\bsubgroup_matrix_/,
};

const needsSubgroup = ({ body }: Shader): boolean => /\bsubgroup\b/.test(body);

/** One set of bindings for several shaders: an array that several use is bound once. Null where memory would be bound in two ways of which one writes. */
export function commonBindings(shaders: readonly Shader[]): Binding[] | null {
  const common = new Map<string, Binding>();
  const elements = new Map<number, Set<string>>();
  const written = new Set(shaders.flatMap(({ bindings }) => bindings.filter((each) => each.written).map(({ memory }) => memory)));
  for (const { memory, element } of shaders.flatMap(({ bindings }) => bindings)) {
    // Bytes that are written are atomic words for everyone.
    const type = element === 'u32' && written.has(memory) ? null : element;
    const types = elements.get(memory) ?? new Set();
    elements.set(memory, types);
    if (type === null || (types.size > 0 && !types.has(type) && written.has(memory))) return null;
    types.add(type);
    common.set(`${memory} ${type}`, { memory, element: type, written: written.has(memory) });
  }
  return [...common.values()];
}

/**
 * Writes the WGSL of shaders that run side by side, each in workgroups of its own. They must have as many threads each.
 * @param bindings what {@link commonBindings} gave for them.
 */
export function assemble(shaders: readonly Shader[], bindings: readonly Binding[]): Assembly {
  const taken = new Map<string, string[]>();
  const declarations = new Set<string>();
  const calls: string[] = [];
  const functions = shaders.map((shader, part) => {
    const renamed = renaming(shader, bindings, taken);
    for (const text of Object.values(shader.declarations)) declarations.add(renamed(text));
    const title = shaders.length === 1 ? shader.name : `${shader.name}${part}`;
    const first = shaders.slice(0, part).reduce((sum, { groups }) => sum + groups, 0);
    const inSubgroup = needsSubgroup(shader);
    const call = `${title}(group${first === 0 ? '' : ` - ${first}`}, thread${inSubgroup ? ', subgroup' : ''});`;
    calls.push(part === shaders.length - 1 ? call : `if (group < ${first + shader.groups}) { ${call} return; }`);
    return `fn ${title}(group: i32, thread: i32${inSubgroup ? ', subgroup: u32' : ''}) {\n${renamed(shader.body)}\n}`;
  });
  const groups = shaders.reduce((sum, shader) => sum + shader.groups, 0);
  const arrays = bindings.map(
    ({ element, written }, k) => `@group(0) @binding(${k}) var<storage, ${written ? 'read_write' : 'read'}> b${k}: array<${element}>;`,
  );
  const text = [...declarations, ...functions].join('\n');
  const written = [...arrays, text].join('\n');
  const extensions = Object.entries(extensionsFor).flatMap(([name, sign]) => (sign.test(written) ? [`enable ${name};`] : []));
  const rows = Math.ceil(groups / ROW);
  // The last row of a large grid may be longer than what is left to do.
  if (rows > 1) calls.unshift(`if (group >= ${groups}) { return; }`);
  const main = `@compute @workgroup_size(${shaders[0]!.threads})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32${shaders.some(needsSubgroup) ? ', @builtin(subgroup_id) subgroup: u32' : ''}) {
let group = i32(workgroup.x + workgroup.y * ${ROW}u);
let thread = i32(local);
${calls.join('\n')}
}`;
  return {
    code: indented([...extensions, ...arrays, functionsCalledIn(text), text, main].filter(Boolean).join('\n')),
    bindings,
    workgroups: [Math.min(groups, ROW), rows],
  };
}

/** Bytes of workgroup memory that shaders need together: what several declare alike is there once. */
export function commonWorkgroupBytes(shaders: readonly Shader[]): number {
  const distinct = new Map<string, number>();
  for (const { declarations, workgroupBytes } of shaders) {
    const memory = Object.values(declarations).filter((text) => /^(var<workgroup>|struct)/.test(text));
    distinct.set(memory.join('\n'), workgroupBytes);
  }
  return [...distinct.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * Gives a shader's arrays the numbers that they have among all, and its declarations names that no other text has: the same text, whichever
 * shader it is of, has one name, so that workgroup memory that several declare alike is there once.
 * @param taken the texts that each name has stood for, in the order of its new names; what is new is added.
 */
function renaming({ declarations, bindings }: Shader, all: readonly Binding[], taken: Map<string, string[]>): (text: string) => string {
  const numbers = bindings.map(({ memory, element }) => all.findIndex((each) => each.memory === memory && each.element === element));
  const own = Object.keys(declarations);
  const word = new RegExp(`\\b(?:b(\\d+)|${own.join('|') || '$^'})\\b`, 'g');
  const names = new Map<string, string>();
  const nameOf = (name: string): string => {
    const known = names.get(name);
    if (known !== undefined) return known;
    // In its own text it has no name yet, and what its text refers to has its new one.
    const text = written(declarations[name]!, name);
    const texts = taken.get(name) ?? [];
    taken.set(name, texts);
    const found = texts.indexOf(text);
    const number = found < 0 ? texts.push(text) - 1 : found;
    const given = number === 0 ? name : `${name}_${number}`;
    names.set(name, given);
    return given;
  };
  const written = (text: string, unnamed?: string): string =>
    text.replaceAll(word, (match, k?: string) => (match === unnamed ? '' : k === undefined ? nameOf(match) : `b${numbers[Number(k)]!}`));
  return (text) => written(text);
}

/** What index functions leave of their special cases, and what it is without: products with 1, and sums with 0, of integers. */
const tidied: readonly (readonly [RegExp, string])[] = [
  [/ [*/] 1(?![\w.])/g, ''],
  [/(?<=[=(,[] ?)0 \+ /g, ''],
  [/ [+-] 0(?=[;,)\]])/g, ''],
];

/** Lines by how deep they are in braces, a blank one before each function: what is sent to the GPU is what people read. */
function indented(code: string): string {
  let depth = 0;
  const lines = tidied.reduce((text, [pattern, replacement]) => text.replaceAll(pattern, replacement), code).split('\n');
  return lines
    .flatMap((line) => {
      const text = line.trim();
      const closing = /^[}\])]*/.exec(text)![0].length;
      const indent = '  '.repeat(Math.max(0, depth - closing));
      depth += (text.match(/[{[(]/g)?.length ?? 0) - (text.match(/[}\])]/g)?.length ?? 0);
      return text === '' ? [] : [...(/^(fn (?!main)|@compute)/.test(text) ? [''] : []), indent + text];
    })
    .join('\n');
}
