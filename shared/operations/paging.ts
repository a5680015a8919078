import * as z from 'zod';

/** The two inputs of every list. */
export const paging = {
  limit: z.coerce.number().int().min(1).max(500).default(50).meta({ description: 'Rows a page' }),
  cursor: z.string().max(1024).optional().meta({ description: 'next_cursor of the page before' }),
};

/** A page of rows, newest first: `next_cursor` is null on the last page. */
export function page<Row extends z.ZodType>(row: Row) {
  return z.object({ items: z.array(row), next_cursor: z.string().nullable(), total: z.int().nullable() });
}
