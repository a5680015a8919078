import type * as z from 'zod';
import { errorTable } from '../../shared/errors.ts';
import type { Operation } from '../../shared/operation.ts';
import { type OperationName, operations } from '../../shared/operations/table.ts';
import { strictInput } from '../invoke.ts';
import { type JsonSchema, jsonSchemaOf } from './jsonSchema.ts';

/** The OpenAPI 3.1 document of every operation on REST, derived from the table. */
export function openapiDocument(version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const name of Object.keys(operations) as OperationName[]) {
    const record: Operation = operations[name];
    if (!record.surfaces.includes('rest')) continue;
    const path = record.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [record.method.toLowerCase()]: operationObject(record, strictInput(name)) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'sessiond',
      version,
      description:
        'Sessions of AI assistants and the tool calls in them. Besides these: GET /events (server-sent events, resumed by Last-Event-ID), GET /health (no token), GET /metrics, POST /page-links.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: [...new Set(Object.values(operations).map(({ name }) => nounOf(name)))].map(name => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'The file `token` of the home' } },
      schemas: { Error: errorSchema() },
      responses: {
        Error: {
          description: 'What was wrong and what to do',
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
        },
      },
    },
  };
}

function operationObject(record: Operation, input: z.ZodObject): object {
  const schema = jsonSchemaOf(input, 'input');
  const properties = objectOf(schema.properties);
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const inPath = [...record.path.matchAll(/:(\w+)/g)].map(match => match[1] ?? '');
  const hasBody = record.method === 'POST' || record.method === 'PATCH';
  const parameters = Object.entries(properties)
    .filter(([key]) => inPath.includes(key) || !hasBody)
    .map(([name, property]) => ({
      name,
      in: inPath.includes(name) ? 'path' : 'query',
      required: inPath.includes(name) || required.has(name),
      ...(objectOf(property).description ? { description: objectOf(property).description } : {}),
      schema: property,
    }));
  const inBody = Object.entries(properties).filter(([key]) => !inPath.includes(key));
  const bodySchema = {
    type: 'object',
    properties: Object.fromEntries(inBody),
    required: inBody.map(([key]) => key).filter(key => required.has(key)),
    additionalProperties: false,
  };
  return {
    operationId: record.name,
    summary: record.summary,
    tags: [nounOf(record.name)],
    parameters,
    ...(hasBody
      ? {
          requestBody: {
            required: bodySchema.required.length > 0,
            content: { 'application/json': { schema: bodySchema } },
          },
        }
      : {}),
    responses: {
      200: {
        description: 'Done',
        content: { 'application/json': { schema: jsonSchemaOf(record.output, 'output') } },
      },
      default: { $ref: '#/components/responses/Error' },
    },
  };
}

function errorSchema(): JsonSchema {
  return {
    type: 'object',
    properties: {
      error: {
        type: 'object',
        properties: {
          code: { type: 'string', enum: Object.keys(errorTable) },
          message: { type: 'string', description: 'What was wrong, with the value, and what to do' },
          reference: { type: 'string', description: 'Names the line of the log that has the cause' },
        },
        required: ['code', 'message'],
      },
    },
    required: ['error'],
  };
}

function nounOf(name: string): string {
  return name.slice(0, name.indexOf('_'));
}

function objectOf(value: unknown): JsonSchema {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}
