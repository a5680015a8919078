import * as z from 'zod';

/** How a value is written where only text travels: a query string or a command line. */
export type TextKind = 'text' | 'number' | 'boolean' | 'list' | 'json';

/** What `schema` is below its optional, nullable and default wrappings. */
export function innerSchema(schema: z.core.$ZodType): z.core.$ZodType {
  if (
    schema instanceof z.core.$ZodOptional ||
    schema instanceof z.core.$ZodNullable ||
    schema instanceof z.core.$ZodDefault
  )
    return innerSchema(schema._zod.def.innerType);
  return schema;
}

/** Whether a caller may leave the value out. */
export function isOptional(schema: z.core.$ZodType): boolean {
  return schema._zod.optin !== undefined;
}

/** Whether null is a value. */
export function isNullable(schema: z.core.$ZodType): boolean {
  if (schema instanceof z.core.$ZodNullable) return true;
  if (schema instanceof z.core.$ZodOptional || schema instanceof z.core.$ZodDefault)
    return isNullable(schema._zod.def.innerType);
  return false;
}

/** Whether it is a time, as in `2026-11-21T09:30:00.000Z`. */
export function isTime(schema: z.core.$ZodType): boolean {
  return innerSchema(schema) instanceof z.core.$ZodISODateTime;
}

/** The choices of an enum, or of a list of them. */
export function choicesOf(schema: z.core.$ZodType): string[] | null {
  const inner = innerSchema(schema);
  if (inner instanceof z.core.$ZodArray) return choicesOf(inner._zod.def.element);
  return inner instanceof z.core.$ZodEnum ? Object.values(inner._zod.def.entries).map(String) : null;
}

/** How `schema` is written as text. */
export function textKind(schema: z.core.$ZodType): TextKind {
  const inner = innerSchema(schema);
  if (inner instanceof z.core.$ZodArray) return 'list';
  if (inner instanceof z.core.$ZodNumber) return 'number';
  if (inner instanceof z.core.$ZodBoolean) return 'boolean';
  if (inner instanceof z.core.$ZodString || inner instanceof z.core.$ZodEnum) return 'text';
  return 'json';
}

/** Reads one value of text; what does not fit stays text, so that the check of the input names it as it was given. */
export function fromText(schema: z.core.$ZodType, text: string): unknown {
  const kind = textKind(schema);
  if (kind === 'number') return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (kind === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  if (kind !== 'json') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
