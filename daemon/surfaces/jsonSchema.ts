import * as z from 'zod';

/** A JSON Schema object, as OpenAPI 3.1 and MCP take it. */
export type JsonSchema = Record<string, unknown>;

/**
 * The JSON Schema of a zod schema: self-contained (no $defs), and short, since models pay for each word: "any JSON value" is
 * `{}`, and a `format` stands without its long pattern. Outputs stay open, so that a field may be added later.
 */
export function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const {
    $schema: _,
    $defs,
    ...rest
  } = z.toJSONSchema(schema, {
    io,
    override({ jsonSchema, zodSchema }) {
      if (jsonSchema.format === 'date-time' || jsonSchema.format === 'uuid') delete jsonSchema.pattern;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      const { def } = zodSchema._zod;
      if (io === 'output' && def.type === 'object' && !('catchall' in def && def.catchall))
        delete jsonSchema.additionalProperties;
    },
  });
  const anyJson = new Set(Object.keys($defs ?? {}).map(name => `#/$defs/${name}`));
  for (const [name, definition] of Object.entries($defs ?? {}))
    if (!isAnyJson(definition, `#/$defs/${name}`)) throw new Error(`a shape that refers to itself: ${name}`);
  return withoutRefs(rest, anyJson);
}

/** z.json() is the only recursive schema in use: a union of the six JSON types in which it holds itself. */
function isAnyJson(definition: unknown, ref: string): boolean {
  if (typeof definition !== 'object' || definition === null || !('anyOf' in definition)) return false;
  const { anyOf } = definition;
  return Array.isArray(anyOf) && anyOf.length === 6 && JSON.stringify(anyOf).includes(JSON.stringify(ref));
}

function withoutRefs(schema: object, refs: ReadonlySet<string>): JsonSchema {
  const out: JsonSchema = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$ref' && refs.has(value)) continue;
    out[key] = Array.isArray(value) ? value.map(item => inside(item, refs)) : inside(value, refs);
  }
  return out;
}

function inside(value: unknown, refs: ReadonlySet<string>): unknown {
  return typeof value === 'object' && value !== null ? withoutRefs(value, refs) : value;
}
